"""SELECT_V2: int8, of two tensors the element that a bool tensor says, broadcast, rank up to 4."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import dims_fields, require_broadcast, stride_fields
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_dtype, require_per_tensor_quant, require_same_quant
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


class SelectV2(Op):
    """Bool condition and int8 inputs of one scale and zero point that broadcast to the output's shape, rank <= 4; any may be constant."""

    name = "SELECT_V2"
    input_count = (3, 3)
    rounding = "exact"

    def read_attrs(self, options: Table | None) -> object:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        output = graph.output_tensor(node)
        require_dtype(node, "condition", graph.input_tensor(node, 0), DType.BOOL)
        require_dtype(node, "output", output, DType.INT8)
        require_per_tensor_quant(node, "output", output)
        for position in (1, 2):
            require_same_quant(node, graph.input_tensor(node, position), output)
        require_broadcast(graph, node)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        condition, a, b = inputs
        assert condition is not None and a is not None and b is not None
        return np.where(condition, a, b)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        return elementwise_overlap(graph.output_tensor(node).shape, graph.input_tensor(node, position).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        fields = dims_fields(graph, node)
        for position, name in enumerate(("condition", "a", "b")):
            fields |= stride_fields(f"{name}_strides", graph.input_tensor(node, position))
        params = printer.params("tyf_select_s8_params", fields)
        printer.call("tyf_select_s8", params, *(printer.tensor(t) for t in (*node.inputs, node.outputs[0])))
