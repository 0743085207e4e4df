"""SOFTMAX: int8 to int8 with scale 1/256 and zero point -128, in fixed-point integers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError
from tinyfleet_codegen.fixed_point import exp_on_negative_values, reciprocal
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, require_dtype, require_per_tensor_quant, require_shape
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import quantize_multiplier, requantize, rounding_doubling_high_mul, rounding_shift_right
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

INPUT_INTEGER_BITS = 5
"""Differences to the maximum are Q5.26."""
SUM_INTEGER_BITS = 12
"""The sum of exponentials is Q12.19."""
MAX_DEPTH = 511
"""A larger sum needs a final shift above 31, on which the oracle aborts."""


@dataclass(frozen=True, slots=True)
class SoftmaxAttrs:
    """Options of SOFTMAX."""

    beta: float


def _constants(graph: Graph, node: Node) -> tuple[int, int, int]:
    """(multiplier, left shift, smallest difference to the maximum that still counts)."""
    real = attrs_of(node, SoftmaxAttrs).beta * graph.input_tensor(node, 0).scale * 2.0 ** (31 - INPUT_INTEGER_BITS)
    if real >= 2.0**30:
        # So steep that only the maximum itself counts, whose difference is 0.
        return 0, 0, 0
    multiplier, shift = quantize_multiplier(real)
    radius = math.floor(((1 << INPUT_INTEGER_BITS) - 1) * 2.0 ** (31 - INPUT_INTEGER_BITS) / 2.0**shift)
    return multiplier, shift, -radius


class Softmax(Op):
    """Over the last axis of any shape."""

    name = "SOFTMAX"
    input_count = (1, 1)
    rounding = "fixed-point exponential and reciprocal; each step rounds as in docs/spec/ops.md"

    def read_attrs(self, options: Table | None) -> SoftmaxAttrs:
        return SoftmaxAttrs(options.f32(0) if options is not None else 0.0)

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        for what, tensor in (("input", source), ("output", output)):
            require_dtype(node, what, tensor, DType.INT8)
            require_per_tensor_quant(node, what, tensor)
        if not source.shape or source.elements == 0 or source.shape[-1] > MAX_DEPTH:
            raise ShapeError(f"{node.label}: input {list(source.shape)} must have elements and a last axis of at most {MAX_DEPTH}")
        require_shape(node, "output", output, source.shape)
        if (output.scale, output.zero_point) != (1.0 / 256.0, -128):
            raise QuantError(f"{node.label}: output must have scale 1/256 and zero point -128, got {output.scale} and {output.zero_point}")
        beta = attrs_of(node, SoftmaxAttrs).beta
        if not (math.isfinite(beta) and beta > 0):
            raise QuantError(f"{node.label}: beta must be finite and > 0, got {beta}")
        _, shift, _ = _constants(graph, node)
        if shift < 0:
            raise QuantError(f"{node.label}: beta * input scale {beta * source.scale} is too small")

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        multiplier, shift, smallest = _constants(graph, node)
        x = inputs[0]
        assert x is not None
        values = x.astype(np.int64)
        difference = values - values.max(axis=-1, keepdims=True)
        counts = difference >= smallest
        scaled = requantize(np.where(counts, difference, 0), multiplier, shift)
        exponential = np.where(counts, exp_on_negative_values(scaled, INPUT_INTEGER_BITS), 0)
        total = np.where(counts, rounding_shift_right(exponential, SUM_INTEGER_BITS), 0).sum(axis=-1, keepdims=True)
        inverse, bits_over_unit = reciprocal(total, SUM_INTEGER_BITS)
        product = rounding_doubling_high_mul(inverse, exponential)
        result = rounding_shift_right(product, bits_over_unit + 31 - 8) - 128
        return np.where(counts, np.clip(result, -128, 127), -128).astype(np.int8)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        return elementwise_overlap(graph.output_tensor(node).shape, graph.input_tensor(node, 0).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source = graph.input_tensor(node, 0)
        multiplier, shift, smallest = _constants(graph, node)
        params = printer.params(
            "tyf_softmax_s8_params",
            {
                "rows": source.elements // source.shape[-1],
                "depth": source.shape[-1],
                "multiplier": multiplier,
                "left_shift": shift,
                "smallest_difference": smallest,
            },
        )
        printer.call("tyf_softmax_s8", params, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
