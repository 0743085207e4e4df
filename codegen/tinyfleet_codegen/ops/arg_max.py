"""ARG_MAX: int8, where along an axis the largest value is."""

from __future__ import annotations

import math

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import constant_ints, positive_axis
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_dtype, require_shape
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


class ArgMax(Op):
    """Input of any shape, constant axis; the output, int32, has no such axis. The first of equals."""

    name = "ARG_MAX"
    input_count = (2, 2)
    rounding = "exact"

    def read_attrs(self, options: Table | None) -> None:
        return None

    def _axis(self, graph: Graph, node: Node) -> int:
        (value,) = constant_ints(graph, node, 1, "axis", 1)
        return positive_axis(node, value, len(graph.input_tensor(node, 0).shape))

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        require_dtype(node, "input", source, DType.INT8)
        require_dtype(node, "output", output, DType.INT32)
        axis = self._axis(graph, node)
        require_shape(node, "output", output, (*source.shape[:axis], *source.shape[axis + 1 :]))
        if source.elements == 0:
            raise ShapeError(f"{node.label}: input {list(source.shape)} has no elements")

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        return np.asarray(x.argmax(axis=self._axis(graph, node))).astype(np.int32)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        shape, axis = graph.input_tensor(node, 0).shape, self._axis(graph, node)
        fields = {"outer": math.prod(shape[:axis]), "size": shape[axis], "inner": math.prod(shape[axis + 1 :])}
        params = printer.params("tyf_arg_max_s8_params", fields)
        printer.call("tyf_arg_max_s8", params, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
