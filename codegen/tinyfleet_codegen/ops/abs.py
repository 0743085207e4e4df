"""ABS: int8 or int16, with a change of scale."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import IDENTITY, Slopes, SlopesOp
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize


class Abs(SlopesOp):
    """Elementwise, any shape; input and output may have different scales."""

    name = "ABS"
    rounding = "double rounding; of int8 a 256-entry table on the device"

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        magnitude = np.abs(q - source.zero_point)
        if source.scale != output.scale:
            magnitude = requantize(magnitude, *quantize_multiplier(source.scale / output.scale))
        return magnitude + output.zero_point

    def slopes(self, graph: Graph, node: Node) -> Slopes:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        multiplier, shift = IDENTITY if source.scale == output.scale else quantize_multiplier(source.scale / output.scale)
        return Slopes((multiplier, shift), (-multiplier, shift))

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        return np.abs(x)
