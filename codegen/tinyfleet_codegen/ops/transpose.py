"""TRANSPOSE: axes in another order."""

from __future__ import annotations

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, constant_ints, strides_of
from tinyfleet_codegen.op import Array, require_shape


class Transpose(MoveOp):
    """Input of rank <= 5, constant permutation."""

    name = "TRANSPOSE"
    input_count = (2, 2)

    def _order(self, graph: Graph, node: Node) -> tuple[int, ...]:
        rank = len(graph.input_tensor(node, 0).shape)
        order = constant_ints(graph, node, 1, "permutation", rank)
        if sorted(order) != list(range(rank)) or rank > 5:
            raise ShapeError(f"{node.label}: {list(order)} is no permutation of at most 5 axes")
        return order

    def check(self, graph: Graph, node: Node) -> None:
        shape = graph.input_tensor(node, 0).shape
        require_shape(node, "output", graph.output_tensor(node), tuple(shape[a] for a in self._order(graph, node)))
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        strides = strides_of(graph.input_tensor(node, 0).shape)
        shape = graph.output_tensor(node).shape
        return [Copy(0, shape, tuple(strides[a] for a in self._order(graph, node)), strides_of(shape))]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        return x.transpose(self._order(graph, node))
