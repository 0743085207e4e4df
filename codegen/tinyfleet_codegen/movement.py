"""What ops that only move bytes share: copies of boxes of elements between two layouts, one kernel for all of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node, Tensor
from tinyfleet_codegen.op import (
    Array,
    CallPrinter,
    Op,
    data_of,
    require_constant,
    require_dtype,
    require_same_quant,
)
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

KERNEL_DIMS = 5
"""Loops of the kernel around one run of contiguous bytes."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Elements ``[dims]`` of one input to the output; strides and starts count elements.

    Attributes:
        source: Position among the node's inputs.
    """

    source: int
    dims: tuple[int, ...]
    input_strides: tuple[int, ...]
    output_strides: tuple[int, ...]
    input_start: int = 0
    output_start: int = 0


@dataclass(frozen=True, slots=True)
class Runs:
    """A copy as the kernel does it, in bytes: runs of ``run_bytes`` in KERNEL_DIMS loops."""

    run_bytes: int
    dims: tuple[int, ...]
    input_strides: tuple[int, ...]
    output_strides: tuple[int, ...]


def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements between neighbours along each axis of a dense tensor."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def as_runs(copy: Copy, item_bytes: int, node: Node) -> Runs:
    """Merge what is contiguous on both sides.

    Raises:
        ShapeError: more loops than the kernel has.
    """
    merged: list[tuple[int, int, int]] = []
    for size, source, target in zip(copy.dims, copy.input_strides, copy.output_strides, strict=True):
        if size == 1:
            continue
        outer = merged.pop()[0] if merged and merged[-1][1:] == (source * size, target * size) else 1
        merged.append((outer * size, source, target))
    run = merged.pop()[0] if merged and merged[-1][1:] == (1, 1) else 1
    if len(merged) > KERNEL_DIMS:
        raise ShapeError(f"{node.label}: the elements move in {len(merged)} nested loops, supported are {KERNEL_DIMS}")
    padded = [(1, 0, 0)] * (KERNEL_DIMS - len(merged)) + merged
    return Runs(
        run * item_bytes,
        tuple(size for size, _, _ in padded),
        tuple(source * item_bytes for _, source, _ in padded),
        tuple(target * item_bytes for _, _, target in padded),
    )


def item_bytes(tensor: Tensor) -> int:
    """Size of one element."""
    return np.dtype(NUMPY_DTYPES[tensor.dtype]).itemsize


class MoveOp(Op):
    """An op whose output is made of elements of its inputs. Any element type."""

    rounding = "exact"
    has_int16 = True

    def read_attrs(self, options: Table | None) -> object:
        return None

    @abstractmethod
    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        """What is copied where; together it writes every element of the output once."""

    def check_copies(self, graph: Graph, node: Node) -> None:
        """Last part of ``check``: one meaning of the bytes on both sides, something to copy, not too many loops."""
        output = graph.output_tensor(node)
        if output.elements == 0:
            raise ShapeError(f"{node.label}: output '{output.name}' of shape {list(output.shape)} has no elements")
        for copy in self.copies(graph, node):
            require_same_quant(node, graph.input_tensor(node, copy.source), output)
            as_runs(copy, item_bytes(output), node)

    def aliases_input(self, graph: Graph, node: Node) -> bool:
        copies = self.copies(graph, node)
        first = node.inputs[0]
        # A state's place gets the next value at the end, when a view of the old one may still be wanted.
        is_state = any(state.tensor == first for state in graph.states)
        if len(copies) != 1 or first is None or is_state or graph.tensors[first].data is not None:
            return False
        copy, output = copies[0], graph.output_tensor(node)
        is_whole = output.elements == graph.tensors[first].elements and (copy.source, copy.input_start, copy.output_start) == (0, 0, 0)
        return is_whole and as_runs(copy, item_bytes(output), node).run_bytes == output.bytes

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        if not self.aliases_input(graph, node):
            emit_copies(graph, node, printer, self.copies(graph, node))


def emit_copies(graph: Graph, node: Node, printer: CallPrinter, copies: list[Copy]) -> None:
    """Print one call of the kernel for each copy."""
    size = item_bytes(graph.output_tensor(node))
    sources = {copy.source: printer.tensor(node.inputs[copy.source]) for copy in copies}
    for i, copy in enumerate(copies):
        runs = as_runs(copy, size, node)
        fields = {"run_bytes": runs.run_bytes}
        fields |= {f"dims[{d}]": n for d, n in enumerate(runs.dims)}
        fields |= {f"input_strides[{d}]": n for d, n in enumerate(runs.input_strides)}
        fields |= {f"output_strides[{d}]": n for d, n in enumerate(runs.output_strides)}
        fields |= {"input_start": copy.input_start * size, "output_start": copy.output_start * size}
        params = printer.params("tyf_copy_params", fields, f"params{i}" if len(copies) > 1 else "params")
        printer.call("tyf_copy", params, sources[copy.source], printer.tensor(node.outputs[0]))


class ViewOp(MoveOp):
    """The same bytes under another shape; costs nothing."""

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        if source.elements != output.elements:
            raise ShapeError(f"{node.label}: {list(source.shape)} cannot become {list(output.shape)}")
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        return [Copy(0, (graph.output_tensor(node).elements,), (1,), (1,))]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        return x.reshape(graph.output_tensor(node).shape)


def box_copy(graph: Graph, node: Node, source: int, *, begin: tuple[int, ...], steps: tuple[int, ...], sizes: tuple[int, ...]) -> Copy:
    """The elements ``begin + i * steps`` for i in ``sizes`` of an input, dense in the output."""
    strides = strides_of(graph.input_tensor(node, source).shape)
    return Copy(
        source,
        sizes,
        tuple(s * t for s, t in zip(strides, steps, strict=True)),
        strides_of(sizes),
        input_start=sum(b * s for b, s in zip(begin, strides, strict=True)),
    )


def positive_axis(node: Node, axis: int, rank: int) -> int:
    """An axis that may count from the end.

    Raises:
        ShapeError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"{node.label}: axis {axis} of a tensor of rank {rank}")
    return axis % rank


def constant_ints(graph: Graph, node: Node, position: int, what: str, count: int | None = None) -> tuple[int, ...]:
    """Values of a constant input of int32 or int64.

    Raises:
        UnsupportedOp: not a constant, or of another type.
        ShapeError: not ``count`` values.
    """
    tensor = graph.input_tensor(node, position)
    require_dtype(node, what, tensor, DType.INT32, DType.INT64)
    require_constant(node, what, tensor)
    values = tuple(int(v) for v in data_of(tensor).astype(np.int64).reshape(-1))
    if count is not None and len(values) != count:
        raise ShapeError(f"{node.label}: {what} '{tensor.name}' has {len(values)} values, expected {count}")
    return values
