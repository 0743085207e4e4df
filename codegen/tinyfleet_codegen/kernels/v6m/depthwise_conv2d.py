"""DEPTHWISE_CONV_2D: 3x3 by two outputs at a time, other windows tap by tap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.convolution import ConvolutionAttrs, convolution_axes
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.v6m.channels import Channels, prepare_channels
from tinyfleet_codegen.op import CallPrinter, attrs_of
from tinyfleet_codegen.ops.depthwise_conv2d import depthwise_conv2d_params
from tinyfleet_codegen.overlap import Overlap, window_overlap
from tinyfleet_codegen.quant import Int64Array

MAX_TAPS = 25
"""TYF_DEPTHWISE_V6M_MAX_TAPS of kernels_v6m.h."""


class Depthwise3x3V6M(Kernel):
    """3x3, stride 1, multiplier 1, negative sums clamped away."""

    op = "DEPTHWISE_CONV_2D"
    symbol = "tyf_depthwise_conv2d_3x3_s8_v6m"
    stride = 1

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, (_, kh, kw, channels_out) = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1).shape
        is_plain = (kh, kw) == (3, 3) and (attrs.dilation_h, attrs.dilation_w) == (1, 1)
        if not is_plain or (attrs.stride_h, attrs.stride_w) != (self.stride, self.stride):
            return False
        if channels_out != graph.input_tensor(node, 0).shape[3]:
            return False
        channels = prepare_channels(graph, node, channel_axis=3)
        # Two products with a weight of -128 would leave 16 bits.
        return channels is not None and not channels.have_knee and int(channels.weights.min()) > -128

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        _, height, width, _ = graph.output_tensor(node).shape
        return depthwise_3x3_scratch_bytes(height if self._is_turned(graph, node) else width)

    def _is_turned(self, graph: Graph, node: Node) -> bool:
        _, height, width, _ = graph.input_tensor(node, 0).shape
        return is_turned(height, width, graph.output_tensor(node).shape[2])

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        # A channel's output row is written after the input row of the same number was read for the last time, and no other
        # channel is touched: exactly in place, which is the only multiple of this size that shares bytes.
        return Overlap(step_bytes=graph.input_tensor(node, 0).bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        channels = prepare_channels(graph, node, channel_axis=3)
        assert channels is not None
        printer.call(
            self.symbol,
            printer.params("tyf_depthwise_conv2d_s8_params", depthwise_conv2d_params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.constant("records", "uint32_t", pack_records(channels, self._is_turned(graph, node))),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


class Depthwise3x3Stride2V6M(Depthwise3x3V6M):
    """The same with stride 2."""

    symbol = "tyf_depthwise_conv2d_3x3_s2_s8_v6m"
    stride = 2

    def _is_turned(self, graph: Graph, node: Node) -> bool:
        return False


class DepthwiseConv2DV6M(Kernel):
    """Any window of few taps, multiplier 1."""

    op = "DEPTHWISE_CONV_2D"
    symbol = "tyf_depthwise_conv2d_s8_v6m"

    def fits(self, graph: Graph, node: Node) -> bool:
        _, kh, kw, channels_out = graph.input_tensor(node, 1).shape
        if channels_out != graph.input_tensor(node, 0).shape[3] or kh * kw > MAX_TAPS:
            return False
        return prepare_channels(graph, node, channel_axis=3) is not None

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        return graph.input_tensor(node, 0).shape[3]

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        channels = graph.input_tensor(node, 0).shape[3]
        # Channel by channel of two pixels, whose last read is that of the last channel.
        last = channels - 1
        axes = convolution_axes(graph, node)
        return window_overlap(*axes, channels, channels, held_bytes=channels + last, passed_bytes=last, together=2)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        channels = prepare_channels(graph, node, channel_axis=3)
        assert channels is not None
        printer.call(
            self.symbol,
            printer.params("tyf_depthwise_conv2d_s8_params", depthwise_conv2d_params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.constant("weights", "int8_t", channels.weights),
            printer.constant("channels", "int32_t", channels.table(knee=True)),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


def depthwise_3x3_scratch_bytes(length: int) -> int:
    """TYF_DEPTHWISE_3X3_V6M_SCRATCH_BYTES of kernels_v6m.h."""
    return 36 * ((length + 1) // 2) + 24


def is_turned(input_h: int, input_w: int, output_w: int) -> bool:
    """TYF_DEPTHWISE_3X3_V6M_IS_TURNED of kernels_v6m.h."""
    return input_w < input_h and input_w == output_w


def pack_records(channels: Channels, turned: bool) -> npt.NDArray[np.uint32]:
    """``[channels, 8]`` words: each kernel row as bytes w0, w2 and halfword w1, then start, high, low, offset, limit.

    Args:
        turned: Kernel columns instead of rows.
    """
    rows = channels.weights.reshape(-1, 3, 3)
    if turned:
        rows = rows.transpose(0, 2, 1)
    words: Int64Array = (rows[..., 0] & 0xFF) | (rows[..., 2] & 0xFF) << 8 | (rows[..., 1] & 0xFFFF) << 16
    start, limit, offset, high, low = channels.table(knee=False).T
    return np.concatenate([words, np.stack([start, high, low, offset, limit], axis=1)], axis=1).astype(np.uint32)
