"""SELECT_V2: int8 or int16, of two tensors the element that a bool tensor says, broadcast, rank up to 4."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import dims_fields, require_broadcast, stride_fields
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, kernel_type, require_activations, require_dtype, require_same_quant
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


class SelectV2(Op):
    """Bool condition and inputs of one type, scale and zero point that broadcast to the output's shape, rank <= 4; any may be constant."""

    name = "SELECT_V2"
    has_int16 = True
    input_count = (3, 3)
    rounding = "exact"

    def read_attrs(self, options: Table | None) -> object:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        output = graph.output_tensor(node)
        require_dtype(node, "condition", graph.input_tensor(node, 0), DType.BOOL)
        require_activations(node, ("output", output))
        for position in (1, 2):
            require_same_quant(node, graph.input_tensor(node, position), output)
        require_broadcast(graph, node)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        condition, a, b = inputs
        assert condition is not None and a is not None and b is not None
        return np.where(condition, a, b)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        source, output = graph.input_tensor(node, position), graph.output_tensor(node)
        return elementwise_overlap(output.shape, source.shape, output.element_bytes, source.element_bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        fields = dims_fields(graph, node)
        for position, name in enumerate(("condition", "a", "b")):
            fields |= stride_fields(f"{name}_strides", graph.input_tensor(node, position))
        params = printer.params("tyf_select_s8_params", fields)
        printer.call(
            f"tyf_select_{kernel_type(graph.output_tensor(node))}", params, *(printer.tensor(t) for t in (*node.inputs, node.outputs[0]))
        )
