"""RELU6: int8 or int16, a clamp."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.geometry import Activation, activation_range
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import IDENTITY, Slopes, SlopesOp
from tinyfleet_codegen.op import Float32Array, require_same_quant
from tinyfleet_codegen.quant import Int64Array


class Relu6(SlopesOp):
    """Elementwise, any shape; input and output have one scale and zero point."""

    name = "RELU6"
    rounding = "exact; of int8 a 256-entry table on the device"

    def check(self, graph: Graph, node: Node) -> None:
        super().check(graph, node)
        require_same_quant(node, graph.input_tensor(node, 0), graph.output_tensor(node))

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        return np.clip(q, *activation_range(Activation.RELU6, graph.input_tensor(node, 0)))

    def slopes(self, graph: Graph, node: Node) -> Slopes:
        return Slopes(IDENTITY, IDENTITY, *activation_range(Activation.RELU6, graph.input_tensor(node, 0)))

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        return np.clip(x, np.float32(0), np.float32(6))
