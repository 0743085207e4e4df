"""HARD_SWISH: int8, in the oracle's 16-bit fixed point."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import LookupOp
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, rounding_shift_right

INT16_MIN = -(2**15)
INT16_MAX = 2**15 - 1


def _multiplier16(scale: float) -> tuple[int, int]:
    """(Q15 multiplier, shift) of a scale."""
    multiplier, shift = quantize_multiplier(scale)
    return (INT16_MAX if multiplier >= 2**31 - 2**15 else (multiplier + 2**15) >> 16), shift


def _rounding_doubling_high_mul16(a: Int64Array, b: int) -> Int64Array:
    """``round(a * b / 2**15)`` of int16 values; b > INT16_MIN."""
    nudged = a * b + np.where(a * b >= 0, 1 << 14, 1 - (1 << 14))
    return np.where(nudged >= 0, nudged >> 15, -(-nudged >> 15))


def _saturating_shift_left16(x: Int64Array, exponent: int) -> Int64Array:
    shifted: Int64Array = np.clip(x << exponent, INT16_MIN, INT16_MAX)
    return shifted


class HardSwish(LookupOp):
    """Elementwise, any shape; the output's scale is at least 1/128 of the input's."""

    name = "HARD_SWISH"
    rounding = "16-bit fixed point, the last product truncated; a 256-entry table on the device"

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        fine_scale = source.scale / 128.0
        output_multiplier, output_shift = _multiplier16(fine_scale / output.scale)
        relu_multiplier, relu_shift = _multiplier16(fine_scale / (3.0 / 32768.0))
        if output_shift > 0 or relu_shift > 16:
            raise QuantError(f"{node.label}: input scale {source.scale} is too large for output scale {output.scale}")
        fine = (q - source.zero_point) << 7
        # x + 3 over 6 in Q0.15, saturated, where the last doubling comes after the product.
        relu = _saturating_shift_left16(fine, relu_shift - 1) if relu_shift > 0 else fine
        relu = _rounding_doubling_high_mul16(relu, relu_multiplier)
        relu = _saturating_shift_left16(relu, 1) if relu_shift > 0 else rounding_shift_right(relu, min(-relu_shift, 31))
        relu = (relu + (1 << 15)) >> 1
        product = relu * _rounding_doubling_high_mul16(fine, output_multiplier)
        truncated = np.where(product >= 0, product >> 15, -(-product >> 15))
        return rounding_shift_right(truncated, -output_shift) + output.zero_point

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        result: Float32Array = x * np.clip(x + np.float32(3), np.float32(0), np.float32(6)) / np.float32(6)
        return result
