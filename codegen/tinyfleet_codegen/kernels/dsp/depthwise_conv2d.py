"""DEPTHWISE_CONV_2D, four channels at a time."""

from __future__ import annotations

from tinyfleet_codegen.convolution import convolution_axes
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import bounds_hold, channel_table, emit_packed, pack_taps
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, data_of
from tinyfleet_codegen.ops.depthwise_conv2d import depthwise_conv2d_params
from tinyfleet_codegen.overlap import Overlap, window_overlap

MAX_TAPS = 25
"""TYF_DEPTHWISE_DSP_MAX_TAPS of kernels_dsp.h."""


class DepthwiseConv2DDsp(Kernel):
    """Channels a multiple of 4, multiplier 1, few taps."""

    op = "DEPTHWISE_CONV_2D"
    symbol = "tyf_depthwise_conv2d_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        _, kh, kw, channels_out = graph.input_tensor(node, 1).shape
        channels_in = graph.input_tensor(node, 0).shape[3]
        is_plain = channels_in == channels_out and channels_in % 4 == 0 and kh * kw <= MAX_TAPS
        return is_plain and bounds_hold(graph, node, channel_axis=3)

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        return graph.input_tensor(node, 0).shape[3]

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        channels = graph.input_tensor(node, 0).shape[3]
        last = channels - 4
        return window_overlap(*convolution_axes(graph, node), channels, channels, held_bytes=last, passed_bytes=last)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        weights = data_of(graph.input_tensor(node, 1))
        emit_packed(
            graph,
            node,
            printer,
            kernel=self.symbol,
            params=printer.params("tyf_depthwise_conv2d_s8_params", depthwise_conv2d_params(graph, node)),
            packed=pack_taps(weights.reshape(-1, weights.shape[3])),
            table=channel_table(graph, node, 3, together=4),
        )
