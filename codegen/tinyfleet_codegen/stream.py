"""STREAM: a few layers computed together, some rows at a time, so that what lies between them is never whole in memory.

Not an op of a model: :mod:`tinyfleet_codegen.passes.stream_rows` puts layers into one where that saves memory. Each tensor between
them has a buffer of the rows that are still needed; before new rows come in, those move to its front.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

from tinyfleet_codegen.convolution import convolution_axes
from tinyfleet_codegen.geometry import Axis
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True, eq=False)
class StreamAttrs:
    """The layers, in order, and how many rows of the last one's output are made at a time."""

    nodes: tuple[Node, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows ``[first, end)`` of a tensor, of which row ``base`` is the first in memory."""

    tensor: int
    first: int
    end: int
    base: int


@dataclass(frozen=True, slots=True)
class Call:
    """One layer makes some rows of its output."""

    node: Node
    sources: tuple[Rows, ...]
    output: Rows


@dataclass(frozen=True, slots=True)
class Move:
    """Rows that are needed still go to the front of their buffer: ``kept`` rows from row ``distance`` of it on."""

    tensor: int
    distance: int
    kept: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """What runs, stripe by stripe, and how many rows the buffer of each tensor between the layers holds."""

    stripes: tuple[tuple[Call | Move, ...], ...]
    capacities: dict[int, int]


class Stream(Op):
    """Layers whose rows depend on few rows, from one tensor to one tensor."""

    name = "STREAM"
    input_count = (1, 1)
    rounding = "as its layers"

    def read_attrs(self, options: Table | None) -> None:
        raise AssertionError("no file holds it")

    def check(self, graph: Graph, node: Node) -> None:
        """Its layers were checked before."""

    def macs(self, graph: Graph, node: Node) -> int:
        return sum(n.op.macs(graph, n) for n in attrs_of(node, StreamAttrs).nodes)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        values: dict[int, Array | None] = dict(zip((i for i in node.inputs if i is not None), inputs, strict=True))
        for inner in attrs_of(node, StreamAttrs).nodes:
            given = [None if i is None else values.get(i, graph.tensors[i].data) for i in inner.inputs]
            values[inner.outputs[0]] = inner.op.reference(graph, inner, given)
        result = values[node.outputs[0]]
        assert result is not None
        return result

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        raise AssertionError("kernels/stream.py prints it for every class")


STREAM = Stream()


def can_stream(graph: Graph, node: Node) -> bool:
    """Whether a layer can make its output some rows at a time."""
    sources = activations(graph, node)
    tensors = [graph.tensors[i] for i in (*sources, node.outputs[0])]
    if any(len(t.shape) != 4 or t.dtype is not DType.INT8 for t in tensors):
        return False
    if node.op.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return True
    return node.op.name == "ADD" and len(sources) == 2 and len({t.shape for t in tensors}) == 1


def activations(graph: Graph, node: Node) -> tuple[int, ...]:
    """Inputs that are no constants, each once."""
    return tuple(dict.fromkeys(i for i in node.inputs if i is not None and graph.tensors[i].data is None))


def row_axis(graph: Graph, node: Node) -> Axis:
    """How rows of the output depend on rows of the input."""
    if node.op.name == "ADD":
        height = graph.output_tensor(node).shape[1]
        return Axis(input=height, output=height, kernel=1, stride=1, dilation=1, pad=0)
    return convolution_axes(graph, node)[0]


def stripe_axis(axis: Axis, first: int, end: int) -> tuple[int, Axis]:
    """For output rows ``[first, end)``: the first input row that they read, and their geometry from there on."""
    begin = max(0, first * axis.stride - axis.pad)
    pad = max(0, axis.pad - first * axis.stride)
    rows = max(1, _end_row(axis, end) - begin)
    return begin, Axis(rows, end - first, axis.kernel, axis.stride, axis.dilation, pad)


def _begin_row(axis: Axis, first: int) -> int:
    """The first input row that output rows from ``first`` on read; all rows are behind when there are no more."""
    return axis.input if first >= axis.output else max(0, first * axis.stride - axis.pad)


def _end_row(axis: Axis, end: int) -> int:
    """Past the last input row that output rows before ``end`` read."""
    return min(axis.input, max(0, (end - 1) * axis.stride - axis.pad + (axis.kernel - 1) * axis.dilation + 1))


@lru_cache(maxsize=512)
def schedule(graph: Graph, node: Node) -> Schedule:
    """Fewest rows at each time: a layer runs when the rows of the last layer's next stripe need it."""
    attrs = attrs_of(node, StreamAttrs)
    source, result = node.inputs[0], node.outputs[0]
    axes = {n.outputs[0]: row_axis(graph, n) for n in attrs.nodes}
    readers: dict[int, list[int]] = defaultdict(list)
    for n in attrs.nodes:
        for tensor in activations(graph, n):
            readers[tensor].append(n.outputs[0])
    have = dict.fromkeys(axes, 0)
    base = dict.fromkeys(axes, 0)
    capacities = dict.fromkeys((t for t in axes if t != result), 0)
    stripes = []
    height = axes[result].output
    for end in range(attrs.rows, height + attrs.rows, attrs.rows):
        need = have | {result: min(end, height)}
        for n in reversed(attrs.nodes):
            made = n.outputs[0]
            for tensor in activations(graph, n):
                if tensor != source and need[made] > have[made]:
                    need[tensor] = max(need[tensor], _end_row(axes[made], need[made]))
        steps: list[Call | Move] = []
        for n in attrs.nodes:
            made = n.outputs[0]
            first, last = have[made], need[made]
            if last <= first:
                continue
            if made != result:
                wanted = min(first, *(_begin_row(axes[reader], have[reader]) for reader in readers[made]))
                if wanted > base[made] and first > wanted:
                    steps.append(Move(made, wanted - base[made], first - wanted))
                base[made] = max(base[made], wanted)
                capacities[made] = max(capacities[made], last - base[made])
            begin, axis = stripe_axis(axes[made], first, last)
            sources = tuple(Rows(t, begin, begin + axis.input, base.get(t, 0)) for t in activations(graph, n))
            steps.append(Call(n, sources, Rows(made, first, last, base[made])))
            have[made] = last
        stripes.append(tuple(steps))
    return Schedule(tuple(stripes), capacities)


def row_bytes(graph: Graph, tensor: int) -> int:
    """Size of one row of ``[1, h, w, c]``."""
    _, _, width, channels = graph.tensors[tensor].shape
    return width * channels
