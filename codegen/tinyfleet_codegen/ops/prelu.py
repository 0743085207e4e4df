"""PRELU: int8, a slope per element or channel for negative values."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import BinaryOp, BinaryScales
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import require_shape
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize


class Prelu(BinaryOp):
    """Input and slopes that broadcast to the input's shape, rank <= 4."""

    name = "PRELU"
    kernel = "tyf_prelu"
    has_int16 = False
    rounding = "double rounding, of the input or of its product with the slope"

    def check(self, graph: Graph, node: Node) -> None:
        super().check(graph, node)
        require_shape(node, "output", graph.output_tensor(node), graph.input_tensor(node, 0).shape)

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        source, slope, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        return BinaryScales(
            a=quantize_multiplier(source.scale / output.scale), output=quantize_multiplier(source.scale * slope.scale / output.scale)
        )

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        return np.where(a >= 0, requantize(a, *scales.a), requantize(a * b, *scales.output))
