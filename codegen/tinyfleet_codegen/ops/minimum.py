"""MINIMUM: int8, broadcast, rank up to 4."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import BinaryOp, BinaryScales
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Float32Array, require_same_quant
from tinyfleet_codegen.quant import Int64Array


class Minimum(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant; all of one scale and zero point."""

    name = "MINIMUM"
    kernel = "tyf_minimum_s8"
    rounding = "exact"

    def check(self, graph: Graph, node: Node) -> None:
        super().check(graph, node)
        for position in (0, 1):
            require_same_quant(node, graph.input_tensor(node, position), graph.output_tensor(node))

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        return BinaryScales()

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        return np.minimum(a, b)

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        a, b = inputs
        return np.minimum(a, b)
