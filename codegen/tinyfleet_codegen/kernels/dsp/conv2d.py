"""CONV_2D, two pixels by two channels at a time."""

from __future__ import annotations

from tinyfleet_codegen.convolution import ConvolutionAttrs
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
from tinyfleet_codegen.op import Array, CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.conv2d import conv2d_params


class Conv2DWideDsp(Kernel):
    """One group, no dilation."""

    op = "CONV_2D"
    symbol = "tyf_conv2d_wide_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, weights = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1)
        is_plain = (attrs.dilation_h, attrs.dilation_w) == (1, 1) and graph.input_tensor(node, 0).shape[3] == weights.shape[3]
        return is_plain and bounds_hold(graph, node, channel_axis=0)

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        return conv2d_scratch_bytes(_rows(graph, node).shape[1])

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        emit_packed(
            graph,
            node,
            printer,
            kernel=self.symbol,
            params=printer.params("tyf_conv2d_s8_params", conv2d_params(graph, node)),
            packed=pack_rows(_rows(graph, node), together=2),
            table=channel_table(graph, node, 0, together=2),
        )


class Conv2DDsp(Conv2DWideDsp):
    """The same for small sums and an even number of filters: weights in halves."""

    symbol = "tyf_conv2d_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        is_even = graph.input_tensor(node, 1).shape[0] % 2 == 0
        return is_even and super().fits(graph, node) and halves_fit(graph, node, channel_axis=0)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        rows = _rows(graph, node)
        emit_packed(
            graph,
            node,
            printer,
            kernel=self.symbol,
            params=printer.params("tyf_conv2d_s8_params", conv2d_params(graph, node)),
            packed=pack_rows(as_halves(rows), together=2),
            table=halves_channel_table(graph, node, rows, together=2),
        )


def _rows(graph: Graph, node: Node) -> Array:
    """Weights ``[filters, depth]``."""
    weights = data_of(graph.input_tensor(node, 1))
    return weights.reshape(weights.shape[0], -1)


def conv2d_scratch_bytes(depth: int) -> int:
    """TYF_CONV2D_DSP_SCRATCH_BYTES of kernels_dsp.h."""
    return 20 * ((depth + 3) // 4)
