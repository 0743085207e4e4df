"""PADV2: PAD with a value of the model's choice."""

from __future__ import annotations

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import data_of, require_constant, require_same_quant
from tinyfleet_codegen.ops.pad import Pad


class PadV2(Pad):
    """Input of rank <= 4, constant paddings `[rank, 2]` (before, after) >= 0, one constant of the same scale."""

    name = "PADV2"
    input_count = (3, 3)

    def fill(self, graph: Graph, node: Node) -> int:
        return int(data_of(graph.input_tensor(node, 2)).reshape(-1)[0])

    def check(self, graph: Graph, node: Node) -> None:
        value = graph.input_tensor(node, 2)
        require_constant(node, "value", value)
        require_same_quant(node, value, graph.output_tensor(node))
        if value.elements != 1:
            raise ShapeError(f"{node.label}: value '{value.name}' has {value.elements} elements, expected 1")
        super().check(graph, node)
