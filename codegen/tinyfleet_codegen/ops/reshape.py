"""RESHAPE: the same bytes under another shape; costs nothing."""

from __future__ import annotations

from tinyfleet_codegen.errors import ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op
from tinyfleet_codegen.tflite.flatbuffer import Table


class Reshape(Op):
    """Input of any shape, output of as many elements. The shape input, if any, is ignored: the output tensor has it."""

    name = "RESHAPE"
    input_count = (1, 2)
    rounding = "exact"

    def read_attrs(self, options: Table | None) -> None:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        if source.dtype is not output.dtype:
            raise UnsupportedOp(f"{node.label} changes the type from {source.dtype.name.lower()} to {output.dtype.name.lower()}")
        if source.elements != output.elements:
            raise ShapeError(f"{node.label}: {list(source.shape)} cannot become {list(output.shape)}")

    def aliases_input(self, graph: Graph, node: Node) -> bool:
        return True

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        return x.reshape(graph.output_tensor(node).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        """Nothing: the output is at the input's place."""
