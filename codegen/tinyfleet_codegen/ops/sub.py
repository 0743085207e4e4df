"""SUB: int8, broadcast, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.elementwise import BinaryAttrs, BinaryOp, BinaryScales, clamp_floats, read_binary_attrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.ops.add import LEFT_SHIFT, add_multipliers
from tinyfleet_codegen.quant import Int64Array, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table


class Sub(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "SUB"
    kernel = "tyf_sub_s8"
    rounding = "double rounding of each input, scaled up by 2**20, and of their difference"

    def read_attrs(self, options: Table | None) -> BinaryAttrs:
        return read_binary_attrs(options)

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        return BinaryScales(*add_multipliers(graph, node))

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        difference = requantize(a << LEFT_SHIFT, *scales.a) - requantize(b << LEFT_SHIFT, *scales.b)
        return requantize(difference, *scales.output)

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        a, b = inputs
        return clamp_floats(node, a - b)
