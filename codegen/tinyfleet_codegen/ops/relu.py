"""RELU: int8 or int16, with a change of scale."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import Slopes, SlopesOp
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize


class Relu(SlopesOp):
    """Elementwise, any shape; input and output may have different scales."""

    name = "RELU"
    rounding = "double rounding; of int8 a 256-entry table on the device"

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        scaled = requantize(q - source.zero_point, *quantize_multiplier(source.scale / output.scale))
        return np.maximum(scaled, 0) + output.zero_point

    def slopes(self, graph: Graph, node: Node) -> Slopes:
        scale = quantize_multiplier(graph.input_tensor(node, 0).scale / graph.output_tensor(node).scale)
        return Slopes(scale, scale, low=0)

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        return np.maximum(x, np.float32(0))
