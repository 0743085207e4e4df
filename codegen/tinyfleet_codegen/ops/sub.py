"""SUB: int8 or int16, broadcast, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.elementwise import BinaryAttrs, BinaryOp, BinaryScales, clamp_floats, read_binary_attrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.ops.add import add_multipliers, left_shift
from tinyfleet_codegen.quant import Int64Array, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table


class Sub(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "SUB"
    kernel = "tyf_sub"
    rounding = "double rounding of each input, scaled up by 2**20 (int16: 2**15), and of their difference"

    def read_attrs(self, options: Table | None) -> BinaryAttrs:
        return read_binary_attrs(options)

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        return BinaryScales(*add_multipliers(graph, node), left_shift(graph, node))

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        difference = requantize(a << scales.left_shift, *scales.a) - requantize(b << scales.left_shift, *scales.b)
        return requantize(difference, *scales.output)

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        a, b = inputs
        return clamp_floats(node, a - b)
