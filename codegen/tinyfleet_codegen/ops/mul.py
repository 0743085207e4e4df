"""MUL: int8 or int16, broadcast, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.elementwise import BinaryAttrs, BinaryOp, BinaryScales, clamp_floats, read_binary_attrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table


class Mul(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "MUL"
    kernel = "tyf_mul"
    rounding = "double rounding of the product"

    def read_attrs(self, options: Table | None) -> BinaryAttrs:
        return read_binary_attrs(options)

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        return BinaryScales(output=quantize_multiplier(a.scale * b.scale / output.scale))

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        return requantize(a * b, *scales.output)

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        a, b = inputs
        return clamp_floats(node, a * b)
