"""ADD: int8, broadcast, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.elementwise import BinaryAttrs, BinaryOp, BinaryScales, Multiplier, clamp_floats, read_binary_attrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table

LEFT_SHIFT = 20
"""Both inputs are scaled up by 2**20 before they meet."""


def add_multipliers(graph: Graph, node: Node) -> tuple[Multiplier, Multiplier, Multiplier]:
    """(multiplier, shift) of the first input, the second and the output, in double precision."""
    a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
    twice_max = 2.0 * max(a.scale, b.scale)
    return (
        quantize_multiplier(a.scale / twice_max),
        quantize_multiplier(b.scale / twice_max),
        quantize_multiplier(twice_max / ((1 << LEFT_SHIFT) * output.scale)),
    )


class Add(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "ADD"
    kernel = "tyf_add_s8"
    rounding = "double rounding of each input, scaled up by 2**20, and of their sum"

    def read_attrs(self, options: Table | None) -> BinaryAttrs:
        return read_binary_attrs(options)

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        return BinaryScales(*add_multipliers(graph, node))

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        total = requantize(a << LEFT_SHIFT, *scales.a) + requantize(b << LEFT_SHIFT, *scales.b)
        return requantize(total, *scales.output)

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        a, b = inputs
        return clamp_floats(node, a + b)
