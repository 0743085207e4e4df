"""NEG: float32 between DEQUANTIZE and QUANTIZE of int8."""

from __future__ import annotations

from tinyfleet_codegen.float_table import FloatOnlyOp
from tinyfleet_codegen.ir import Node
from tinyfleet_codegen.op import Float32Array


class Neg(FloatOnlyOp):
    """Elementwise, between DEQUANTIZE and QUANTIZE of int8."""

    name = "NEG"

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        return -x
