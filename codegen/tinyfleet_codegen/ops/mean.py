"""MEAN: int8 or int16, over any constant axes, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.quant import quantize_multiplier
from tinyfleet_codegen.reduction import SumOp, reduced_count


class Mean(SumOp):
    """Input of rank <= 4, constant axes; the output drops them or keeps them as 1."""

    name = "MEAN"
    rounding = "double rounding of the int32 sum; the multiplier is divided by the element count, rounded down"

    def multiplier(self, graph: Graph, node: Node) -> tuple[int, int]:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        multiplier, shift = quantize_multiplier(source.scale / output.scale)
        count = reduced_count(graph, node)
        # Keep as many bits as 31 + shift allows, so that the division by count loses little.
        extra = min(count.bit_length() - 1, 32, 31 + shift)
        return (multiplier << extra) // count, shift - extra
