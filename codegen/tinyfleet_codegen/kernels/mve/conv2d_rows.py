"""CONV_2D 3x3, one row of the output at a time, four pixels share the columns that they have in common."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.convolution import ConvolutionAttrs, convolution_axes
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import bounds_hold
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.mve.tables import channel_constants, clamps_negative, filter_stream, rounded_up
from tinyfleet_codegen.op import Array, CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.conv2d import conv2d_params
from tinyfleet_codegen.overlap import Overlap, forward_overlap

MAX_CHANNELS = 128
"""16 / 3 of TYF_MVE_SEGMENTS of kernels_mve.h."""
SEGMENT_INSTRUCTIONS = {1: 39, 2: 42}
BLOCK_INSTRUCTIONS = 14
"""Of conv2d_tile_mve.S, for 16 of the whole depth."""


class Conv2DRowsMve(Kernel):
    """One stride, one group, filters a multiple of 4, rows of at least four outputs, not much padding of channels."""

    op = "CONV_2D"

    def __init__(self, *, stride: int, relu: bool) -> None:
        self.stride, self.relu = stride, relu
        self.symbol = f"tyf_conv2d_rows_s{stride}{'_relu' if relu else ''}_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, weights = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1)
        filters, kh, kw, channels = weights.shape
        segments, blocks = 3 * -(-channels // 16), -(-9 * channels // 16)
        return (
            (kh, kw) == (3, 3)
            and (attrs.stride_h, attrs.stride_w) == (self.stride, self.stride)
            and (attrs.dilation_h, attrs.dilation_w) == (1, 1)
            and graph.input_tensor(node, 0).shape[3] == channels <= MAX_CHANNELS
            and filters % 4 == 0
            and graph.output_tensor(node).shape[2] >= 4
            and segments * SEGMENT_INSTRUCTIONS[self.stride] <= blocks * BLOCK_INSTRUCTIONS
            and self.relu == clamps_negative(graph, node)
            and bounds_hold(graph, node, channel_axis=0)
        )

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        return conv2d_rows_scratch_bytes(graph.input_tensor(node, 0).shape[3], graph.output_tensor(node).shape[2], self.stride)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        rows, columns = convolution_axes(graph, node)
        _, _, width, channels = graph.input_tensor(node, 0).shape
        # Each row of the input is copied before the first row of the output that needs it is written.
        needed = np.arange(min(rows.input, (rows.output - 1) * rows.stride + 3 - rows.pad))
        first = np.maximum(-(-(needed + rows.pad - 2) // rows.stride), 0)
        written = first * columns.output * graph.output_tensor(node).shape[3]
        return forward_overlap(written, needed * width * channels)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        weights = data_of(graph.input_tensor(node, 1))
        constants = channel_constants(graph, node, weights.reshape(len(weights), -1), 0, together=4)
        printer.call(
            self.symbol,
            printer.params("tyf_conv2d_s8_params", conv2d_params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.constant("stream", "uint32_t", filter_stream(_segments(weights), constants)),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


def _segments(weights: Array) -> Array:
    """Weights ``[filters, 3, 3, channels]`` by segment and column, ``[filters, 9 * blocks, 16]``."""
    filters, rows, columns, channels = weights.shape
    padded = np.zeros((filters, rows, columns, rounded_up(channels, 16)), np.int8)
    padded[..., :channels] = weights
    return padded.reshape(filters, rows, columns, -1, 16).transpose(0, 1, 3, 2, 4).reshape(filters, -1, 16)


def conv2d_rows_scratch_bytes(channels: int, output_w: int, stride: int) -> int:
    """TYF_CONV2D_ROWS_MVE_SCRATCH_BYTES of kernels_mve.h."""
    return 64 * -(-channels // 16) * ((output_w - 1) * stride + 3)
