"""SPLIT_V: parts of given lengths along an axis, each an output."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, box_copy, constant_ints, positive_axis
from tinyfleet_codegen.op import Array, require_shape


class SplitV(MoveOp):
    """Input of any shape, constant lengths (one may be -1: the rest) and axis; outputs that nobody reads cost nothing."""

    name = "SPLIT_V"
    input_count = (3, 3)
    output_count = (1, 64)

    def _parts(self, graph: Graph, node: Node) -> tuple[int, tuple[int, ...]]:
        """(axis, length of every part)."""
        shape = graph.input_tensor(node, 0).shape
        (value,) = constant_ints(graph, node, 2, "axis", 1)
        axis = positive_axis(node, value, len(shape))
        lengths = constant_ints(graph, node, 1, "lengths", node.parts)
        if lengths.count(-1) == 1:
            rest = shape[axis] - sum(lengths) - 1
            lengths = tuple(rest if n == -1 else n for n in lengths)
        if any(n < 0 for n in lengths) or sum(lengths) != shape[axis]:
            raise ShapeError(f"{node.label}: axis {axis} of {list(shape)} does not split into {list(lengths)}")
        return axis, lengths

    def check(self, graph: Graph, node: Node) -> None:
        shape = graph.input_tensor(node, 0).shape
        axis, lengths = self._parts(graph, node)
        require_shape(node, "output", graph.output_tensor(node), (*shape[:axis], lengths[node.part], *shape[axis + 1 :]))
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        axis, lengths = self._parts(graph, node)
        sizes = graph.output_tensor(node).shape
        begin = tuple(sum(lengths[: node.part]) if a == axis else 0 for a in range(len(sizes)))
        return [box_copy(graph, node, 0, begin=begin, steps=(1,) * len(sizes), sizes=sizes)]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        axis, lengths = self._parts(graph, node)
        return np.split(x, np.cumsum(lengths)[:-1], axis=axis)[node.part]
