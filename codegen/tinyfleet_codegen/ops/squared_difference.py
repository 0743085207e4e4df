"""SQUARED_DIFFERENCE: int8 or int16, broadcast, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.elementwise import BinaryOp, BinaryScales
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize
from tinyfleet_codegen.wire.ids import DType

LEFT_SHIFT = 7
"""Both inputs are scaled up by 2**7 (int16: not at all) before they meet, so that the square fits into int32."""


class SquaredDifference(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "SQUARED_DIFFERENCE"
    kernel = "tyf_squared_difference"
    rounding = "double rounding of each input, scaled up by 2**7 (int16: not at all), and of the square"

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        left_shift = 0 if output.dtype is DType.INT16 else LEFT_SHIFT
        twice_max = 2.0 * max(a.scale, b.scale)
        return BinaryScales(
            quantize_multiplier(a.scale / twice_max),
            quantize_multiplier(b.scale / twice_max),
            quantize_multiplier(twice_max * twice_max / ((1 << 2 * left_shift) * output.scale)),
            left_shift,
        )

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        difference = requantize(a << scales.left_shift, *scales.a) - requantize(b << scales.left_shift, *scales.b)
        return requantize(difference * difference, *scales.output)
