"""RSQRT: int8, 1 over the square root."""

from __future__ import annotations

import math

import numpy as np

from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.fixed_point import inverse_square_root
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import LookupOp
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize

FRACTION_BITS = 20
"""Of the inverse root of the quantized value."""


class Rsqrt(LookupOp):
    """Elementwise, any shape, for values >= 0; the oracle gives up on others, here they give what 0 gives: 127."""

    name = "RSQRT"
    rounding = "fixed-point Newton iteration; a 256-entry table on the device"

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        multiplier, shift = quantize_multiplier(1.0 / (math.sqrt(source.scale) * output.scale))
        if shift - FRACTION_BITS < -31:
            raise QuantError(f"{node.label}: output scale {output.scale} is too large")
        x = q - source.zero_point
        inverse, right = inverse_square_root(np.maximum(x, 1))
        rooted = requantize(np.ones_like(x), inverse, FRACTION_BITS - right)
        return np.where(x <= 0, 127, requantize(rooted, multiplier, shift - FRACTION_BITS) + output.zero_point)

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        return np.reciprocal(np.sqrt(x))
