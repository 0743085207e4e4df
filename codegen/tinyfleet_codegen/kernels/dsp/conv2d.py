"""CONV_2D, two pixels by two channels at a time."""

from __future__ import annotations

from tinyfleet_codegen.convolution import ConvolutionAttrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import bounds_hold, channel_table, emit_packed, pack_rows
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.conv2d import conv2d_params


class Conv2DDsp(Kernel):
    """One group, no dilation."""

    op = "CONV_2D"
    symbol = "tyf_conv2d_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, weights = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1)
        is_plain = (attrs.dilation_h, attrs.dilation_w) == (1, 1) and graph.input_tensor(node, 0).shape[3] == weights.shape[3]
        return is_plain and bounds_hold(graph, node, channel_axis=0)

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        weights = graph.input_tensor(node, 1)
        return conv2d_scratch_bytes(weights.elements // weights.shape[0])

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        weights = data_of(graph.input_tensor(node, 1))
        emit_packed(
            graph,
            node,
            printer,
            kernel=self.symbol,
            params=printer.params("tyf_conv2d_s8_params", conv2d_params(graph, node)),
            packed=pack_rows(weights.reshape(weights.shape[0], -1), together=2),
            table=channel_table(graph, node, 0, together=2),
        )


def conv2d_scratch_bytes(depth: int) -> int:
    """TYF_CONV2D_DSP_SCRATCH_BYTES of kernels_dsp.h."""
    return 20 * ((depth + 3) // 4)
