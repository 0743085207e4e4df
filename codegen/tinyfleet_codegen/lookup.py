"""What functions of one int8 value share: 256 results computed at build time, one table, one kernel."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_dtype, require_per_tensor_quant, require_shape
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import Int64Array
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


class LookupOp(Op):
    """int8 to int8, elementwise. The oracle's arithmetic runs in ``results``; the device only looks up."""

    input_count = (1, 1)

    def read_attrs(self, options: Table | None) -> object:
        return None

    @abstractmethod
    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        """Quantized results of quantized values, not yet saturated to int8.

        Raises:
            QuantError: scales or zero points are outside what the oracle computes with.
        """

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        for what, tensor in (("input", source), ("output", output)):
            require_dtype(node, what, tensor, DType.INT8)
            require_per_tensor_quant(node, what, tensor)
        require_shape(node, "output", output, source.shape)
        self.results(graph, node, np.zeros(1, np.int64))

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        return np.clip(self.results(graph, node, x.astype(np.int64)), -128, 127).astype(np.int8)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        return elementwise_overlap(graph.output_tensor(node).shape, graph.input_tensor(node, 0).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        # The kernel's index is the value's byte: 0 to 127, then -128 to -1.
        table = self.reference(graph, node, [np.arange(256, dtype=np.uint8).view(np.int8)])
        printer.call(
            "tyf_lookup_s8",
            printer.params("tyf_lookup_s8_params", {"count": graph.output_tensor(node).elements}),
            printer.constant("table", "int8_t", table),
            printer.tensor(node.inputs[0]),
            printer.tensor(node.outputs[0]),
        )
