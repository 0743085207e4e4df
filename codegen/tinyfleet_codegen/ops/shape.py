"""SHAPE: the sizes of a tensor, known when the model is read."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.errors import UnsupportedOp
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_dtype, require_shape
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


class Shape(Op):
    """Of any tensor; becomes a constant when the model is read, and with it what is computed from it."""

    name = "SHAPE"
    has_int16 = True
    input_count = (1, 1)
    rounding = "exact"
    reads_values = False

    def read_attrs(self, options: Table | None) -> None:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        output = graph.output_tensor(node)
        require_dtype(node, "output", output, DType.INT32, DType.INT64)
        require_shape(node, "output", output, (len(graph.input_tensor(node, 0).shape),))
        if node.outputs[0] in graph.outputs:
            raise UnsupportedOp(f"{node.label}: a shape cannot be an output of the model")

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        return np.array(graph.input_tensor(node, 0).shape, NUMPY_DTYPES[graph.output_tensor(node).dtype])

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        raise AssertionError(f"{node.label} was not folded")
