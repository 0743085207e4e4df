"""ADD: int8 or int16, broadcast, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.elementwise import BinaryAttrs, BinaryOp, BinaryScales, Multiplier, clamp_floats, read_binary_attrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

LEFT_SHIFT = 20
LEFT_SHIFT_INT16 = 15
"""Both inputs are scaled up by 2**20 (int16: 2**15) before they meet."""


def left_shift(graph: Graph, node: Node) -> int:
    """Bits by which both inputs are scaled up."""
    return LEFT_SHIFT_INT16 if graph.output_tensor(node).dtype is DType.INT16 else LEFT_SHIFT


def add_multipliers(graph: Graph, node: Node) -> tuple[Multiplier, Multiplier, Multiplier]:
    """(multiplier, shift) of the first input, the second and the output, in double precision."""
    a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
    twice_max = 2.0 * max(a.scale, b.scale)
    return (
        quantize_multiplier(a.scale / twice_max),
        quantize_multiplier(b.scale / twice_max),
        quantize_multiplier(twice_max / ((1 << left_shift(graph, node)) * output.scale)),
    )


class Add(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "ADD"
    kernel = "tyf_add"
    rounding = "double rounding of each input, scaled up by 2**20 (int16: 2**15), and of their sum"

    def read_attrs(self, options: Table | None) -> BinaryAttrs:
        return read_binary_attrs(options)

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        return BinaryScales(*add_multipliers(graph, node), left_shift(graph, node))

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        total = requantize(a << scales.left_shift, *scales.a) + requantize(b << scales.left_shift, *scales.b)
        return requantize(total, *scales.output)

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        a, b = inputs
        return clamp_floats(node, a + b)
