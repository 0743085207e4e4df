"""SPLIT: equal parts along an axis, each an output."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, box_copy, constant_ints, positive_axis
from tinyfleet_codegen.op import Array, require_shape


class Split(MoveOp):
    """Constant axis, input of any shape, whose axis is a multiple of the outputs; those that nobody reads cost nothing."""

    name = "SPLIT"
    input_count = (2, 2)
    output_count = (1, 64)

    def _part(self, graph: Graph, node: Node) -> tuple[int, int]:
        """(axis, length of each part)."""
        shape = graph.input_tensor(node, 1).shape
        (value,) = constant_ints(graph, node, 0, "axis", 1)
        axis = positive_axis(node, value, len(shape))
        return axis, shape[axis] // node.parts

    def check(self, graph: Graph, node: Node) -> None:
        shape = graph.input_tensor(node, 1).shape
        axis, length = self._part(graph, node)
        if length * node.parts != shape[axis]:
            raise ShapeError(f"{node.label}: axis {axis} of {list(shape)} does not split into {node.parts} equal parts")
        require_shape(node, "output", graph.output_tensor(node), (*shape[:axis], length, *shape[axis + 1 :]))
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        axis, length = self._part(graph, node)
        sizes = graph.output_tensor(node).shape
        begin = tuple(node.part * length if a == axis else 0 for a in range(len(sizes)))
        return [box_copy(graph, node, 1, begin=begin, steps=(1,) * len(sizes), sizes=sizes)]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[1]
        assert x is not None
        return np.split(x, node.parts, axis=self._part(graph, node)[0])[node.part]
