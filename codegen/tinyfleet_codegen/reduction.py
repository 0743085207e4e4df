"""What ops share that make one value of all values along some axes."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node
from tinyfleet_codegen.movement import constant_ints, positive_axis
from tinyfleet_codegen.op import (
    Array,
    CallPrinter,
    Op,
    attrs_of,
    kernel_type,
    require_activations,
    require_same_quant,
    require_shape,
)
from tinyfleet_codegen.overlap import Overlap, forward_overlap
from tinyfleet_codegen.quant import INT32_MAX, Int64Array, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table


@dataclass(frozen=True, slots=True)
class ReducerAttrs:
    """Options of a reduction."""

    keep_dims: bool


def reduced_axes(graph: Graph, node: Node) -> tuple[bool, ...]:
    """Which dimensions of the input are reduced."""
    rank = len(graph.input_tensor(node, 0).shape)
    axes = {positive_axis(node, a, rank) for a in constant_ints(graph, node, 1, "axes")}
    return tuple(i in axes for i in range(rank))


def reduced_count(graph: Graph, node: Node) -> int:
    """How many values become one."""
    return math.prod(d for d, r in zip(graph.input_tensor(node, 0).shape, reduced_axes(graph, node), strict=True) if r)


class ReduceOp(Op):
    """Input of rank <= 4, constant axes; the output drops them or keeps them as 1."""

    input_count = (2, 2)
    kernel: str
    """The C function, without the type at its end."""
    has_int16 = True

    def read_attrs(self, options: Table | None) -> ReducerAttrs:
        return ReducerAttrs(keep_dims=bool(options.u8(0)) if options is not None else False)

    @abstractmethod
    def multiplier(self, graph: Graph, node: Node) -> tuple[int, int]:
        """(multiplier, shift) of the result.

        Raises:
            QuantError: input and output have scales that do not fit together.
        """

    @abstractmethod
    def reduce(self, x: Int64Array, axes: tuple[int, ...]) -> Int64Array:
        """One value for each block, from inputs without their zero point."""

    @abstractmethod
    def scale(self, graph: Graph, node: Node, reduced: Int64Array) -> Int64Array:
        """Results without the output's zero point."""

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        require_activations(node, ("input", source), ("output", output), int16=self.has_int16)
        if not 1 <= len(source.shape) <= 4 or source.elements == 0:
            raise ShapeError(f"{node.label}: input {list(source.shape)} must have rank 1 to 4 and elements")
        keep = attrs_of(node, ReducerAttrs).keep_dims
        expected = tuple(1 if r else d for d, r in zip(source.shape, reduced_axes(graph, node), strict=True) if keep or not r)
        require_shape(node, "output", output, expected)
        count = reduced_count(graph, node)
        if count * (255 if source.element_bytes == 1 else 32768) > INT32_MAX:
            raise QuantError(f"{node.label}: the sum of {count} elements does not fit into int32")
        self.multiplier(graph, node)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        x = inputs[0]
        assert x is not None
        axes = tuple(i for i, r in enumerate(reduced_axes(graph, node)) if r)
        reduced = self.reduce(x.astype(np.int64) - source.zero_point, axes)
        result = self.scale(graph, node, reduced) + output.zero_point
        dtype = NUMPY_DTYPES[output.dtype]
        limits = np.iinfo(dtype)
        return np.clip(result, limits.min, limits.max).astype(dtype).reshape(output.shape)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        source = graph.input_tensor(node, 0)
        elements = np.arange(source.elements).reshape(source.shape)
        # Each block begins at index 0 of every dimension that is reduced.
        first = elements[tuple(slice(1) if r else slice(None) for r in reduced_axes(graph, node))].reshape(-1)
        return forward_overlap(np.arange(first.size) * source.element_bytes, first * source.element_bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        missing = 4 - len(source.shape)
        shape = (1,) * missing + source.shape
        reduced = (False,) * missing + reduced_axes(graph, node)
        multiplier, shift = self.multiplier(graph, node)
        fields = {f"kept[{i}]": 1 if r else d for i, (d, r) in enumerate(zip(shape, reduced, strict=True))}
        fields |= {f"reduced[{i}]": d if r else 1 for i, (d, r) in enumerate(zip(shape, reduced, strict=True))}
        fields |= {
            "input_offset": -source.zero_point,
            "output_offset": output.zero_point,
            "multiplier": multiplier,
            "shift": shift,
        }
        params = printer.params("tyf_reduce_s8_params", fields)
        printer.call(f"{self.kernel}_{kernel_type(output)}", params, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))


class SumOp(ReduceOp):
    """A sum, scaled."""

    kernel = "tyf_sum"

    def reduce(self, x: Int64Array, axes: tuple[int, ...]) -> Int64Array:
        return np.asarray(x.sum(axis=axes))

    def scale(self, graph: Graph, node: Node, reduced: Int64Array) -> Int64Array:
        return requantize(reduced, *self.multiplier(graph, node))


class ExtremeOp(ReduceOp):
    """The largest or smallest value; input and output have one scale and zero point."""

    has_int16 = False

    def check(self, graph: Graph, node: Node) -> None:
        super().check(graph, node)
        require_same_quant(node, graph.input_tensor(node, 0), graph.output_tensor(node))

    def multiplier(self, graph: Graph, node: Node) -> tuple[int, int]:
        return 0, 0

    def scale(self, graph: Graph, node: Node, reduced: Int64Array) -> Int64Array:
        return reduced
