"""ASSIGN_VARIABLE: the value that a variable will hold in the next run."""

from __future__ import annotations

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp
from tinyfleet_codegen.op import Array


class AssignVariable(MoveOp):
    """A value of the variable's shape, type, scale and zero point, copied when the rest of the model has run."""

    name = "ASSIGN_VARIABLE"
    input_count = (1, 2)  # in the file: handle and value; in the graph: the value
    output_count = (0, 0)

    def check(self, graph: Graph, node: Node) -> None:
        value, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        if value.shape != output.shape:
            raise ShapeError(f"{node.label} assigns {list(value.shape)} to a variable of shape {list(output.shape)}")
        self.check_copies(graph, node)

    def aliases_input(self, graph: Graph, node: Node) -> bool:
        return False

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        return [Copy(0, (graph.output_tensor(node).elements,), (1,), (1,))]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        return x
