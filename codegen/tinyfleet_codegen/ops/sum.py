"""SUM: int8 or int16, over any constant axes, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.quant import quantize_multiplier
from tinyfleet_codegen.reduction import SumOp


class Sum(SumOp):
    """Input of rank <= 4, constant axes; the output drops them or keeps them as 1."""

    name = "SUM"
    rounding = "double rounding of the int32 sum"

    def multiplier(self, graph: Graph, node: Node) -> tuple[int, int]:
        return quantize_multiplier(graph.input_tensor(node, 0).scale / graph.output_tensor(node).scale)
