"""What functions of one quantized value share: of int8 256 results computed at build time, one table, one kernel."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_activations, require_shape
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import Int64Array
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


class LookupOp(Op):
    """Elementwise, of one type. The oracle's arithmetic runs in ``results``; for int8 the device only looks up."""

    input_count = (1, 1)

    def read_attrs(self, options: Table | None) -> object:
        return None

    @abstractmethod
    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        """Quantized results of quantized values, not yet saturated.

        Raises:
            QuantError: scales or zero points are outside what the oracle computes with.
        """

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        require_activations(node, ("input", source), ("output", output), int16=self.has_int16)
        require_shape(node, "output", output, source.shape)
        self.results(graph, node, np.zeros(1, np.int64))

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        dtype = NUMPY_DTYPES[graph.output_tensor(node).dtype]
        limits = np.iinfo(dtype)
        return np.clip(self.results(graph, node, x.astype(np.int64)), limits.min, limits.max).astype(dtype)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        output = graph.output_tensor(node)
        return elementwise_overlap(output.shape, output.shape, output.element_bytes, output.element_bytes)

    def emit_int16(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        """Print the call of the int16 kernel."""
        raise AssertionError(f"{node.label} has no int16 kernel")

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        if graph.output_tensor(node).dtype is DType.INT16:
            self.emit_int16(graph, node, printer)
            return
        # The kernel's index is the value's byte: 0 to 127, then -128 to -1.
        table = self.reference(graph, node, [np.arange(256, dtype=np.uint8).view(np.int8)])
        printer.call(
            "tyf_lookup_s8",
            printer.params("tyf_lookup_s8_params", {"count": graph.output_tensor(node).elements}),
            printer.constant("table", "int8_t", table),
            printer.tensor(node.inputs[0]),
            printer.tensor(node.outputs[0]),
        )


Multiplier = tuple[int, int]
"""(multiplier, shift) as of ``quantize_multiplier``."""
IDENTITY: Multiplier = (1 << 30, 1)


@dataclass(frozen=True, slots=True)
class Slopes:
    """What int16 values from 0 up and those below are multiplied with, and where results are clamped."""

    positive: Multiplier
    negative: Multiplier
    low: int = -(1 << 15)
    high: int = (1 << 15) - 1


class SlopesOp(LookupOp):
    """A function of two straight lines that meet at 0."""

    has_int16 = True

    @abstractmethod
    def slopes(self, graph: Graph, node: Node) -> Slopes:
        """The lines in int16."""

    def emit_int16(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        lines = self.slopes(graph, node)
        fields = {
            "count": graph.output_tensor(node).elements,
            "positive_multiplier": lines.positive[0],
            "positive_shift": lines.positive[1],
            "negative_multiplier": lines.negative[0],
            "negative_shift": lines.negative[1],
            "activation_min": lines.low,
            "activation_max": lines.high,
        }
        params = printer.params("tyf_slopes_s16_params", fields)
        printer.call("tyf_slopes_s16", params, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
