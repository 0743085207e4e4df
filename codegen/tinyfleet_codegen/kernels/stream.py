"""STREAM for every CPU class: the kernels of its layers, called for some rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.convolution import ConvolutionAttrs
from tinyfleet_codegen.ir import Graph, Node, Tensor
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.movement import KERNEL_DIMS
from tinyfleet_codegen.op import CallPrinter, Memory, PrintedCall
from tinyfleet_codegen.overlap import ANYWHERE, Overlap
from tinyfleet_codegen.stream import Call, Move, Rows, Schedule, row_axis, row_bytes, schedule, stripe_axis

ChooseKernel = Callable[[Graph, Node, str], Kernel | None]
_SCRATCH = "@scratch"
_ALIGNMENT = 16


class StreamKernel(Kernel):
    """Calls the kernels of one CPU class.

    Args:
        choose: Finds the kernel of a layer.
    """

    op = "STREAM"
    symbol = ""

    def __init__(self, cpu_class: str, choose: ChooseKernel) -> None:
        self._cpu_class = cpu_class
        self._choose = choose

    def fits(self, graph: Graph, node: Node) -> bool:
        return True

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        """The output may follow its rows through the input as they are read for the last time."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        leads = []
        read_bytes, made_bytes = row_bytes(graph, source), row_bytes(graph, result)
        written = 0
        for call in _calls(schedule(graph, node)):
            rows = next((rows for rows in call.sources if rows.tensor == source), None)
            if rows is not None:
                before = written
                if call.output.tensor == result:
                    inner = self._overlap_within(graph, call, source)
                    if inner is None:
                        before = call.output.end * made_bytes
                    else:
                        leads.append(inner + call.output.first * made_bytes - rows.first * read_bytes)
                if before:
                    leads.append(before - rows.first * read_bytes)
            if call.output.tensor == result:
                written = call.output.end * made_bytes
        return Overlap(lead_bytes=max(leads)) if leads else ANYWHERE

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        places = _places(graph, schedule(graph, node))
        return places.end + max(self._scratch_within(graph, call) for call in _distinct(schedule(graph, node)).values())

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        plan = schedule(graph, node)
        places = _places(graph, plan)
        shared = _Shared(printer)
        printed = {key: self._record(graph, call, shared) for key, call in _distinct(plan).items()}
        stripes = []
        for stripe in plan.stripes:
            calls: list[PrintedCall] = []
            for step in stripe:
                if isinstance(step, Move):
                    calls += _moves(graph, step, places.offsets[step.tensor], shared)
                else:
                    calls += _bind(graph, step, printed[_key(step)], node, places)
            stripes.append(tuple(calls))
        for count, calls_once in _folded(stripes):
            printer.repeat(count, calls_once)

    def _overlap_within(self, graph: Graph, call: Call, source: int) -> int | None:
        """The lead that the call itself needs; None when its output must be apart from its input."""
        stripe_graph, stripe, _ = stripe_of(graph, call)
        runner = self._choose(stripe_graph, stripe, self._cpu_class) or stripe.op
        leads = []
        for position, tensor in enumerate(call.node.inputs):
            if tensor == source:
                overlap = runner.output_overlap(stripe_graph, stripe, position)
                if overlap is None or (overlap.lead_bytes is None and overlap != ANYWHERE):
                    return None
                leads.append(-call.output.end * row_bytes(graph, call.output.tensor) if overlap.lead_bytes is None else overlap.lead_bytes)
        return max(leads)

    def _scratch_within(self, graph: Graph, call: Call) -> int:
        stripe_graph, stripe, _ = stripe_of(graph, call)
        kernel = self._choose(stripe_graph, stripe, self._cpu_class)
        return 0 if kernel is None else kernel.scratch_bytes(stripe_graph, stripe)

    def _record(self, graph: Graph, call: Call, shared: _Shared) -> list[_Template]:
        stripe_graph, stripe, names = stripe_of(graph, call)
        kernel = self._choose(stripe_graph, stripe, self._cpu_class)
        scratch = 0 if kernel is None else kernel.scratch_bytes(stripe_graph, stripe)
        recorder = _Recorder(shared, names, scratch)
        (stripe.op if kernel is None else kernel).emit(stripe_graph, stripe, recorder)
        return recorder.calls


def stripe_of(graph: Graph, call: Call) -> tuple[Graph, Node, dict[int, int]]:
    """A graph with the rows of a call as tensors of their own, the layer on them, and the tensor that each of them is of."""
    tensors = list(graph.tensors)
    names: dict[int, int] = {}
    renamed: dict[int, int] = {}
    for rows in (*call.sources, call.output):
        whole: Tensor = graph.tensors[rows.tensor]
        renamed[rows.tensor] = len(tensors)
        names[len(tensors)] = rows.tensor
        tensors.append(replace(whole, shape=(1, rows.end - rows.first, *whole.shape[2:])))
    attrs = call.node.attrs
    if isinstance(attrs, ConvolutionAttrs):
        _, axis = stripe_axis(row_axis(graph, call.node), call.output.first, call.output.end)
        attrs = replace(attrs, rows=axis)
    inputs = tuple(i if i is None else renamed.get(i, i) for i in call.node.inputs)
    node = replace(call.node, inputs=inputs, outputs=(renamed[call.output.tensor],), attrs=attrs)
    return replace(graph, tensors=tuple(tensors)), node, names


@dataclass(frozen=True, slots=True)
class _Places:
    """Where each buffer begins in the borrowed memory, and where they end."""

    offsets: dict[int, int]
    end: int


def _places(graph: Graph, plan: Schedule) -> _Places:
    offsets, end = {}, 0
    for tensor, rows in plan.capacities.items():
        offsets[tensor] = end
        end += -(-rows * row_bytes(graph, tensor) // _ALIGNMENT) * _ALIGNMENT
    return _Places(offsets, end)


def _calls(plan: Schedule) -> list[Call]:
    return [step for stripe in plan.stripes for step in stripe if isinstance(step, Call)]


def _key(call: Call) -> tuple[int, ...]:
    """Equal for calls that differ in addresses only."""
    axis_pad = call.output.first if call.sources[0].first == 0 else -1
    return (call.output.tensor, call.output.end - call.output.first, axis_pad, *(rows.end - rows.first for rows in call.sources))


def _distinct(plan: Schedule) -> dict[tuple[int, ...], Call]:
    found: dict[tuple[int, ...], Call] = {}
    for call in _calls(plan):
        found.setdefault(_key(call), call)
    return found


_Template = tuple[str, tuple[str | tuple[str, int], ...]]
"""A kernel and its arguments: expressions, or ("tensor", id) and ("scratch", bytes)."""


@dataclass(slots=True)
class _Shared:
    """Constants of all calls of one node, each declared once."""

    printer: CallPrinter
    symbols: dict[tuple[str, bytes], str] = field(default_factory=dict)

    def declare(self, kind: str, data: bytes, name: str, print_it: Callable[[str], str]) -> str:
        key = (kind, data)
        if key not in self.symbols:
            self.symbols[key] = print_it(f"{name}_{len(self.symbols)}")
        return self.symbols[key]

    def params(self, c_type: str, fields: dict[str, int]) -> str:
        data = repr(sorted(fields.items())).encode()
        return self.declare(c_type, data, "params", lambda unique: self.printer.params(c_type, fields, unique))


@dataclass(slots=True)
class _Recorder:
    """Notes the calls of one layer; see :class:`tinyfleet_codegen.op.CallPrinter`."""

    shared: _Shared
    names: dict[int, int]
    scratch_bytes: int
    calls: list[_Template] = field(default_factory=list)

    def scratch(self) -> str:
        return _SCRATCH

    def constant(self, name: str, c_type: str, values: npt.ArrayLike) -> str:
        array = np.asarray(values)
        data = f"{array.dtype} {array.shape}".encode() + array.tobytes()
        return self.shared.declare(c_type, data, name, lambda unique: self.shared.printer.constant(unique, c_type, values))

    def table(self, name: str, c_type: str, rows: npt.NDArray[np.int64]) -> str:
        data = f"{rows.shape}".encode() + rows.tobytes()
        return self.shared.declare(c_type, data, name, lambda unique: self.shared.printer.table(unique, c_type, rows))

    def params(self, c_type: str, fields: dict[str, int], name: str = "params") -> str:
        return self.shared.params(c_type, fields)

    def tensor(self, tensor_id: int | None) -> str:
        if tensor_id in self.names:
            return f"@{self.names[tensor_id]}"
        return self.shared.declare("tensor", repr(tensor_id).encode(), "", lambda _: self.shared.printer.tensor(tensor_id))

    def call(self, kernel: str, *arguments: str) -> None:
        self.calls.append((kernel, tuple(self._argument(a) for a in arguments)))

    def repeat(self, count: int, calls: tuple[PrintedCall, ...]) -> None:
        raise AssertionError("a layer within a stream does not repeat calls")

    def _argument(self, argument: str) -> str | tuple[str, int]:
        if argument == _SCRATCH:
            return ("scratch", self.scratch_bytes)
        return ("tensor", int(argument[1:])) if argument.startswith("@") else argument


def _bind(graph: Graph, call: Call, templates: list[_Template], node: Node, places: _Places) -> list[PrintedCall]:
    """The calls with the memory of one stripe."""
    rows_of = {rows.tensor: rows for rows in (*call.sources, call.output)}

    def bound(argument: str | tuple[str, int]) -> str | Memory:
        if isinstance(argument, str):
            return argument
        kind, value = argument
        if kind == "scratch":
            return Memory(None, places.end, value)
        return _memory(graph, rows_of[value], node, places)

    return [PrintedCall(kernel, tuple(bound(a) for a in arguments)) for kernel, arguments in templates]


def _memory(graph: Graph, rows: Rows, node: Node, places: _Places) -> Memory:
    size = row_bytes(graph, rows.tensor)
    count = (rows.end - rows.first) * size
    if rows.tensor in (node.inputs[0], node.outputs[0]):
        return Memory(rows.tensor, rows.first * size, count)
    return Memory(None, places.offsets[rows.tensor] + (rows.first - rows.base) * size, count)


def _moves(graph: Graph, move: Move, offset: int, shared: _Shared) -> list[PrintedCall]:
    """Copies to the front; none is larger than its distance, so that none overlaps itself."""
    size = row_bytes(graph, move.tensor)
    calls = []
    for first in range(0, move.kept, move.distance):
        count = min(move.distance, move.kept - first) * size
        fields = {"run_bytes": count, **{f"dims[{d}]": 1 for d in range(KERNEL_DIMS)}}
        params = shared.params("tyf_copy_params", fields)
        source = Memory(None, offset + (move.distance + first) * size, count)
        calls.append(PrintedCall("tyf_copy", (params, source, Memory(None, offset + first * size, count))))
    return calls


def _folded(stripes: list[tuple[PrintedCall, ...]]) -> list[tuple[int, tuple[PrintedCall, ...]]]:
    """Stripes that differ only by equal steps in memory become one, with how often it runs."""
    folded = []
    at = 0
    while at < len(stripes):
        count, steps = 1, None
        while at + count < len(stripes):
            found = _steps(stripes[at + count - 1], stripes[at + count])
            if found is None or (steps is not None and found != steps):
                break
            steps, count = found, count + 1
        first = stripes[at]
        if steps is not None:
            remaining = iter(steps)
            first = tuple(
                PrintedCall(c.kernel, tuple(replace(a, step_bytes=next(remaining)) if isinstance(a, Memory) else a for a in c.arguments))
                for c in first
            )
        folded.append((count, first))
        at += count
    return folded


def _steps(before: tuple[PrintedCall, ...], after: tuple[PrintedCall, ...]) -> list[int] | None:
    """How far each memory argument moved; None when more than that differs."""
    if [c.kernel for c in before] != [c.kernel for c in after]:
        return None
    steps = []
    for one, other in zip(before, after, strict=True):
        if len(one.arguments) != len(other.arguments):
            return None
        for a, b in zip(one.arguments, other.arguments, strict=True):
            if isinstance(a, Memory) and isinstance(b, Memory) and (a.tensor, a.bytes) == (b.tensor, b.bytes):
                steps.append(b.first_byte - a.first_byte)
            elif a != b:
                return None
    return steps
