"""AVERAGE_POOL_2D, four channels at a time."""

from __future__ import annotations

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, attrs_of
from tinyfleet_codegen.overlap import Overlap
from tinyfleet_codegen.pooling import Pool2DAttrs, emit_pool, pool_overlap

MAX_WINDOW = 255
"""Sums of so many int8 fit int16."""


class AveragePool2DDsp(Kernel):
    """Channels a multiple of 4, windows that int16 sums can hold."""

    op = "AVERAGE_POOL_2D"
    symbol = "tyf_average_pool2d_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs = attrs_of(node, Pool2DAttrs)
        return graph.input_tensor(node, 0).shape[3] % 4 == 0 and attrs.kernel_h * attrs.kernel_w <= MAX_WINDOW

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        return pool_overlap(graph, node)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        emit_pool(graph, node, printer, self.symbol)
