"""EXP: float32 between DEQUANTIZE and QUANTIZE of int8."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.float_table import FloatOnlyOp
from tinyfleet_codegen.ir import Node
from tinyfleet_codegen.op import Float32Array


class Exp(FloatOnlyOp):
    """Elementwise, between DEQUANTIZE and QUANTIZE of int8."""

    name = "EXP"

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        return np.exp(x.astype(np.float64)).astype(np.float32)
