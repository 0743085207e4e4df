"""AVERAGE_POOL_2D and MAX_POOL_2D, eight or sixteen channels at a time."""

from __future__ import annotations

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter
from tinyfleet_codegen.overlap import Overlap, window_overlap
from tinyfleet_codegen.pooling import emit_pool, pool_axes

MEAN_LIMIT = 255
"""Elements whose sum fits int16."""


class MaxPool2DMve(Kernel):
    """Any window."""

    op = "MAX_POOL_2D"
    symbol = "tyf_max_pool2d_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        return True

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        # Some channels of a pixel are written before others are read.
        channels = graph.input_tensor(node, 0).shape[3]
        return window_overlap(*pool_axes(graph, node), channels, channels, held_bytes=channels)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        emit_pool(graph, node, printer, self.symbol)


class AveragePool2DMve(MaxPool2DMve):
    """Windows of up to MEAN_LIMIT elements."""

    op = "AVERAGE_POOL_2D"
    symbol = "tyf_average_pool2d_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        rows, columns = pool_axes(graph, node)
        return rows.kernel * columns.kernel <= MEAN_LIMIT
