"""SOFTMAX: int8 to int8 with scale 1/256 and zero point -128, in fixed-point integers; int16 with two tables."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError
from tinyfleet_codegen.fixed_point import exp_on_negative_values, reciprocal
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, require_activations, require_shape
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize, rounding_doubling_high_mul, rounding_shift_right
from tinyfleet_codegen.softmax_tables import EXP_TABLE, RECIPROCAL_TABLE, look_up
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

INPUT_INTEGER_BITS = 5
"""Differences to the maximum are Q5.26."""
SUM_INTEGER_BITS = 12
"""The sum of exponentials is Q12.19."""
MAX_DEPTH = 511
"""A larger sum needs a final shift above 31, on which the oracle aborts."""
MAX_DEPTH_INT16 = 65535
"""So many exponentials of at most 1.0 in Q0.15 fit into int32."""


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


def _int16_scale(graph: Graph, node: Node) -> tuple[int, int]:
    """(multiplier, shift) with which a difference of 10.0 becomes 65535, the length of the table.

    Raises:
        QuantError: differences of int16 would leave int32 in the oracle.
    """
    scale, beta = graph.input_tensor(node, 0).scale, attrs_of(node, SoftmaxAttrs).beta
    multiplier, shift = quantize_multiplier(scale * beta / (10.0 / 65535.0))
    if shift > 15:
        raise QuantError(f"{node.label}: beta * input scale {beta * scale} is too large")
    return multiplier, shift


def _reference_int16(x: Int64Array, multiplier: int, shift: int) -> Array:
    difference = requantize(x - x.max(axis=-1, keepdims=True), multiplier, shift) + 32767
    exponential = look_up(EXP_TABLE, np.clip(difference, -32768, 32767))
    total = exponential.sum(axis=-1, keepdims=True)
    # Shifted so that it lies in [2**30, 2**31), then as 1.0 to 2.0 in Q0.16.
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    normalized = ((total << (31 - bits)) + (1 << 13)) >> 14
    reciprocal = look_up(RECIPROCAL_TABLE, np.clip(normalized - (1 << 15) - (1 << 16), -32768, 32767))
    result = (exponential * reciprocal + (np.int64(1) << (bits - 2))) >> (bits - 1)
    clamped: Array = np.clip(result, 0, 32767).astype(np.int16)
    return clamped


class Softmax(Op):
    """Over the last axis of any shape."""

    name = "SOFTMAX"
    has_int16 = True
    input_count = (1, 1)
    rounding = "fixed-point exponential and reciprocal; each step rounds as in docs/spec/ops.md"

    def read_attrs(self, options: Table | None) -> SoftmaxAttrs:
        return SoftmaxAttrs(options.f32(0) if options is not None else 0.0)

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        require_activations(node, ("input", source), ("output", output))
        is_int16 = source.dtype is DType.INT16
        longest = MAX_DEPTH_INT16 if is_int16 else MAX_DEPTH
        if not source.shape or source.elements == 0 or source.shape[-1] > longest:
            raise ShapeError(f"{node.label}: input {list(source.shape)} must have elements and a last axis of at most {longest}")
        require_shape(node, "output", output, source.shape)
        wanted = (1.0 / 32768.0, 0) if is_int16 else (1.0 / 256.0, -128)
        if (output.scale, output.zero_point) != wanted:
            raise QuantError(
                f"{node.label}: output must have scale 1/{1 / wanted[0]:.0f} and zero point {wanted[1]}, "
                f"got {output.scale} and {output.zero_point}"
            )
        beta = attrs_of(node, SoftmaxAttrs).beta
        if not (math.isfinite(beta) and beta > 0):
            raise QuantError(f"{node.label}: beta must be finite and > 0, got {beta}")
        if is_int16:
            _int16_scale(graph, node)
            return
        _, shift, _ = _constants(graph, node)
        if shift < 0:
            raise QuantError(f"{node.label}: beta * input scale {beta * source.scale} is too small")

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        if x.dtype == np.int16:
            return _reference_int16(x.astype(np.int64), *_int16_scale(graph, node))
        multiplier, shift, smallest = _constants(graph, node)
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
        output = graph.output_tensor(node)
        return elementwise_overlap(output.shape, output.shape, output.element_bytes, output.element_bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source = graph.input_tensor(node, 0)
        if source.dtype is DType.INT16:
            multiplier, shift = _int16_scale(graph, node)
            depth = source.shape[-1]
            fields = {"rows": source.elements // depth, "depth": depth, "multiplier": multiplier, "shift": shift}
            printer.call(
                "tyf_softmax_s16",
                printer.params("tyf_softmax_s16_params", fields),
                printer.constant("table_0", "int16_t", EXP_TABLE),
                printer.constant("table_1", "int16_t", RECIPROCAL_TABLE),
                printer.tensor(node.inputs[0]),
                printer.tensor(node.outputs[0]),
            )
            return
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
