"""LOGISTIC: int8 to int8 with scale 1/256 and zero point -128."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.fixed_point import logistic
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import LookupOp
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, rounding_shift_right
from tinyfleet_codegen.sigmoid import INPUT_INTEGER_BITS, require_output_quant, scaled_input


class Logistic(LookupOp):
    """Elementwise, any shape; output of scale 1/256 and zero point -128."""

    name = "LOGISTIC"
    rounding = "fixed-point exponential and reciprocal in Q4.27; a 256-entry table on the device"

    def check(self, graph: Graph, node: Node) -> None:
        super().check(graph, node)
        require_output_quant(graph, node, 1.0 / 256.0, -128)

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        x, side = scaled_input(graph, node, q)
        inside = rounding_shift_right(logistic(x, INPUT_INTEGER_BITS), 31 - 8) - 128
        return np.where(side == 0, inside, np.where(side < 0, -128, 127))

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        exponential = np.exp(-x.astype(np.float64)).astype(np.float32)
        inside = np.float32(1) / (np.float32(1) + exponential)
        # Beyond, the oracle takes 1 and exp(x): what float32 makes of it anyway.
        low = np.exp(x.astype(np.float64)).astype(np.float32)
        return np.where(x > np.float32(16.619047), np.float32(1), np.where(x < np.float32(-9), low, inside))
