"""EXPAND_DIMS: the same bytes with one more axis of size 1; costs nothing."""

from __future__ import annotations

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import ViewOp, constant_ints, positive_axis
from tinyfleet_codegen.op import require_shape


class ExpandDims(ViewOp):
    """Input of any shape, constant axis; the output has a 1 there."""

    name = "EXPAND_DIMS"
    input_count = (2, 2)

    def check(self, graph: Graph, node: Node) -> None:
        shape = graph.input_tensor(node, 0).shape
        (axis,) = constant_ints(graph, node, 1, "axis", 1)
        axis = positive_axis(node, axis, len(shape) + 1)
        require_shape(node, "output", graph.output_tensor(node), (*shape[:axis], 1, *shape[axis:]))
        super().check(graph, node)
