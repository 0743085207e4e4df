"""MEAN: int8, over any constant axes, rank up to 4."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import (
    Array,
    CallPrinter,
    Op,
    attrs_of,
    data_of,
    require_constant,
    require_dtype,
    require_per_tensor_quant,
    require_shape,
)
from tinyfleet_codegen.overlap import Overlap, forward_overlap
from tinyfleet_codegen.quant import INT32_MAX, quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True)
class MeanAttrs:
    """Options of MEAN."""

    keep_dims: bool


def _reduced(graph: Graph, node: Node) -> tuple[bool, ...]:
    """Which dimensions of the input are averaged."""
    rank = len(graph.input_tensor(node, 0).shape)
    axes = {a + rank if a < 0 else a for a in data_of(graph.input_tensor(node, 1)).reshape(-1).astype(np.int64).tolist()}
    if any(not 0 <= a < rank for a in axes):
        raise ShapeError(f"{node.label}: axes {sorted(axes)} of a tensor of rank {rank}")
    return tuple(i in axes for i in range(rank))


def _multiplier(graph: Graph, node: Node) -> tuple[int, int]:
    """Scale ratio over the element count, with the integer division that the oracle does."""
    source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
    multiplier, shift = quantize_multiplier(source.scale / output.scale)
    count = math.prod(d for d, r in zip(source.shape, _reduced(graph, node), strict=True) if r)
    # Keep as many bits as 31 + shift allows, so that the division by count loses little.
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


class Mean(Op):
    """Input of rank <= 4, constant axes; the output drops them or keeps them as 1."""

    name = "MEAN"
    input_count = (2, 2)
    rounding = "double rounding of the int32 sum; the multiplier is divided by the element count, rounded down"

    def read_attrs(self, options: Table | None) -> MeanAttrs:
        return MeanAttrs(keep_dims=bool(options.u8(0)) if options is not None else False)

    def check(self, graph: Graph, node: Node) -> None:
        source, axes, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        for what, tensor in (("input", source), ("output", output)):
            require_dtype(node, what, tensor, DType.INT8)
            require_per_tensor_quant(node, what, tensor)
        require_dtype(node, "axes", axes, DType.INT32)
        require_constant(node, "axes", axes)
        if not 1 <= len(source.shape) <= 4 or source.elements == 0:
            raise ShapeError(f"{node.label}: input {list(source.shape)} must have rank 1 to 4 and elements")
        reduced = _reduced(graph, node)
        keep = attrs_of(node, MeanAttrs).keep_dims
        expected = tuple(1 if r else d for d, r in zip(source.shape, reduced, strict=True) if keep or not r)
        require_shape(node, "output", output, expected)
        count = math.prod(d for d, r in zip(source.shape, reduced, strict=True) if r)
        if count * 255 > INT32_MAX:
            raise QuantError(f"{node.label}: the sum of {count} elements does not fit into int32")
        _multiplier(graph, node)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        x = inputs[0]
        assert x is not None
        axes = tuple(i for i, r in enumerate(_reduced(graph, node)) if r)
        total = (x.astype(np.int64) - source.zero_point).sum(axis=axes)
        result = requantize(total, *_multiplier(graph, node)) + output.zero_point
        return np.clip(result, -128, 127).astype(np.int8).reshape(output.shape)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        source = graph.input_tensor(node, 0)
        elements = np.arange(source.elements).reshape(source.shape)
        # Each sum begins at index 0 of every dimension that is averaged.
        first = elements[tuple(slice(1) if r else slice(None) for r in _reduced(graph, node))].reshape(-1)
        return forward_overlap(np.arange(first.size), first)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        missing = 4 - len(source.shape)
        shape = (1,) * missing + source.shape
        reduced = (False,) * missing + _reduced(graph, node)
        multiplier, shift = _multiplier(graph, node)
        fields = {f"kept[{i}]": 1 if r else d for i, (d, r) in enumerate(zip(shape, reduced, strict=True))}
        fields |= {f"reduced[{i}]": d if r else 1 for i, (d, r) in enumerate(zip(shape, reduced, strict=True))}
        fields |= {
            "input_offset": -source.zero_point,
            "output_offset": output.zero_point,
            "multiplier": multiplier,
            "shift": shift,
        }
        params = printer.params("tyf_mean_s8_params", fields)
        printer.call("tyf_mean_s8", params, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
