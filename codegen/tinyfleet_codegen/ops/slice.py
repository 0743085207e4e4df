"""SLICE: a box of the input."""

from __future__ import annotations

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, box_copy, constant_ints
from tinyfleet_codegen.op import Array, require_shape


class Slice(MoveOp):
    """Input of rank <= 5, constant begin and size; a size of -1 reaches to the end."""

    name = "SLICE"
    input_count = (3, 3)

    def _box(self, graph: Graph, node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(begin, size)."""
        shape = graph.input_tensor(node, 0).shape
        begin = constant_ints(graph, node, 1, "begin", len(shape))
        sizes = constant_ints(graph, node, 2, "size", len(shape))
        sizes = tuple(d - b if s == -1 else s for d, b, s in zip(shape, begin, sizes, strict=True))
        if any(b < 0 or s < 1 or b + s > d for d, b, s in zip(shape, begin, sizes, strict=True)):
            raise ShapeError(f"{node.label}: box at {list(begin)} of size {list(sizes)} is not inside {list(shape)}")
        return begin, sizes

    def check(self, graph: Graph, node: Node) -> None:
        if len(graph.input_tensor(node, 0).shape) > 5:
            raise ShapeError(f"{node.label}: rank {len(graph.input_tensor(node, 0).shape)} is not supported, at most 5")
        _, sizes = self._box(graph, node)
        require_shape(node, "output", graph.output_tensor(node), sizes)
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        begin, sizes = self._box(graph, node)
        return [box_copy(graph, node, 0, begin=begin, steps=(1,) * len(sizes), sizes=sizes)]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        begin, sizes = self._box(graph, node)
        return x[tuple(slice(b, b + s) for b, s in zip(begin, sizes, strict=True))]
