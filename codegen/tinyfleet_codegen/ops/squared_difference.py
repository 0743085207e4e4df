"""SQUARED_DIFFERENCE: int8, broadcast, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.elementwise import BinaryOp, BinaryScales
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize

LEFT_SHIFT = 7
"""Both inputs are scaled up by 2**7 before they meet, so that the square fits into int32."""


class SquaredDifference(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "SQUARED_DIFFERENCE"
    kernel = "tyf_squared_difference_s8"
    rounding = "double rounding of each input, scaled up by 2**7, and of the square"

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        twice_max = 2.0 * max(a.scale, b.scale)
        return BinaryScales(
            quantize_multiplier(a.scale / twice_max),
            quantize_multiplier(b.scale / twice_max),
            quantize_multiplier(twice_max * twice_max / ((1 << 2 * LEFT_SHIFT) * output.scale)),
        )

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        difference = requantize(a << LEFT_SHIFT, *scales.a) - requantize(b << LEFT_SHIFT, *scales.b)
        return requantize(difference * difference, *scales.output)
