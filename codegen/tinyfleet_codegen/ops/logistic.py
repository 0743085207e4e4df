"""LOGISTIC: int8 or int16; int8 to int8 with scale 1/256 and zero point -128."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.fixed_point import logistic
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import LookupOp
from tinyfleet_codegen.op import CallPrinter, Float32Array
from tinyfleet_codegen.quant import Int64Array, rounding_shift_right
from tinyfleet_codegen.sigmoid import INPUT_INTEGER_BITS, emit_sigmoid_int16, int16_scale, require_output_quant, scaled_input
from tinyfleet_codegen.sigmoid_table import logistic_q15
from tinyfleet_codegen.wire.ids import DType

MOST_DOUBLINGS = 0
"""See ``int16_scale``."""


class Logistic(LookupOp):
    """Elementwise, any shape; output of scale 1/256 and zero point -128, or int16 of scale 1/32768."""

    name = "LOGISTIC"
    has_int16 = True
    rounding = "fixed-point exponential and reciprocal in Q4.27; a 256-entry table on the device; int16: between the entries of a table"

    def check(self, graph: Graph, node: Node) -> None:
        super().check(graph, node)
        if graph.output_tensor(node).dtype is DType.INT16:
            require_output_quant(graph, node, 1.0 / 32768.0, 0)
        else:
            require_output_quant(graph, node, 1.0 / 256.0, -128)

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        if graph.output_tensor(node).dtype is DType.INT16:
            return logistic_q15(q, *int16_scale(graph, node, MOST_DOUBLINGS))
        x, side = scaled_input(graph, node, q)
        inside = rounding_shift_right(logistic(x, INPUT_INTEGER_BITS), 31 - 8) - 128
        return np.where(side == 0, inside, np.where(side < 0, -128, 127))

    def emit_int16(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        emit_sigmoid_int16(graph, node, printer, "tyf_logistic_s16", int16_scale(graph, node, MOST_DOUBLINGS))

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        exponential = np.exp(-x.astype(np.float64)).astype(np.float32)
        inside = np.float32(1) / (np.float32(1) + exponential)
        # Beyond, the oracle takes 1 and exp(x): what float32 makes of it anyway.
        low = np.exp(x.astype(np.float64)).astype(np.float32)
        return np.where(x > np.float32(16.619047), np.float32(1), np.where(x < np.float32(-9), low, inside))
