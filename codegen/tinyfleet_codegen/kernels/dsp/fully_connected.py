"""FULLY_CONNECTED, four units at a time."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import (
    as_halves,
    bounds_hold,
    channel_table,
    emit_packed,
    halves_channel_table,
    halves_fit,
    pack_rows,
)
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, data_of
from tinyfleet_codegen.ops.fully_connected import fully_connected_params
from tinyfleet_codegen.overlap import Overlap, forward_overlap


class FullyConnectedWideDsp(Kernel):
    """Any shape."""

    op = "FULLY_CONNECTED"
    symbol = "tyf_fully_connected_wide_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        return bounds_hold(graph, node, channel_axis=0)

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        return fully_connected_scratch_bytes(graph.input_tensor(node, 1).shape[1])

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        units, depth = graph.input_tensor(node, 1).shape
        # A row is copied before its units are written.
        rows = np.arange(graph.input_tensor(node, 0).elements // depth)
        return forward_overlap(rows * units, rows * depth)

    def scratch_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        depth = graph.input_tensor(node, 1).shape[1]
        if graph.input_tensor(node, 0).elements != depth:
            return None
        # Four bytes become eight; the rest of a depth that is no multiple of four is read after all whole words were written.
        words = np.arange(depth // 4 + 1)
        return forward_overlap(8 * words, 4 * words)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        emit_packed(
            graph,
            node,
            printer,
            kernel=self.symbol,
            params=printer.params("tyf_fully_connected_s8_params", fully_connected_params(graph, node)),
            packed=pack_rows(data_of(graph.input_tensor(node, 1)), together=4),
            table=channel_table(graph, node, 0, together=4),
        )


class FullyConnectedDsp(FullyConnectedWideDsp):
    """The same for small sums: weights in halves."""

    symbol = "tyf_fully_connected_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        return super().fits(graph, node) and halves_fit(graph, node, channel_axis=0)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        weights = data_of(graph.input_tensor(node, 1))
        emit_packed(
            graph,
            node,
            printer,
            kernel=self.symbol,
            params=printer.params("tyf_fully_connected_s8_params", fully_connected_params(graph, node)),
            packed=pack_rows(as_halves(weights), together=4),
            table=halves_channel_table(graph, node, weights, together=4),
        )


def fully_connected_scratch_bytes(depth: int) -> int:
    """TYF_FULLY_CONNECTED_DSP_SCRATCH_BYTES of kernels_dsp.h."""
    return 8 * ((depth + 3) // 4)
