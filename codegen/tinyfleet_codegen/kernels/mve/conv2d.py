"""CONV_2D, four pixels by two filters at a time."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.convolution import ConvolutionAttrs, convolution_axes
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import bounds_hold
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.mve.tables import channel_constants, clamps_negative, filter_stream, rounded_up
from tinyfleet_codegen.op import Array, CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.conv2d import conv2d_params
from tinyfleet_codegen.overlap import Overlap, window_overlap

TILE_PIXELS = 16
"""TYF_MVE_TILE_PIXELS of kernels_mve.h."""
SHALLOW = 128
"""Depth that the core holds unrolled."""


class Conv2DMve(Kernel):
    """One group, no dilation, one of the four cores."""

    op = "CONV_2D"

    def __init__(self, *, relu: bool, deep: bool) -> None:
        self.relu, self.deep = relu, deep
        self.symbol = f"tyf_conv2d{'_deep' if deep else ''}{'_relu' if relu else ''}_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, weights = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1)
        is_plain = (attrs.dilation_h, attrs.dilation_w) == (1, 1) and graph.input_tensor(node, 0).shape[3] == weights.shape[3]
        is_ours = self.deep == (_rows(graph, node).shape[1] > SHALLOW) and self.relu == clamps_negative(graph, node)
        return is_plain and is_ours and bounds_hold(graph, node, channel_axis=0)

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        filters, kh, kw, depth = graph.input_tensor(node, 1).shape
        rows, columns = convolution_axes(graph, node)
        is_dense = (kh, kw, rows.stride, columns.stride) == (1, 1, 1, 1) and rows.output * columns.output >= 4
        reads_in_place = is_dense and depth % 16 == 0
        return 0 if reads_in_place and filters % 4 == 0 else conv2d_scratch_bytes(kh * kw * depth, filters)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        rows, columns = convolution_axes(graph, node)
        channels_in, channels_out = graph.input_tensor(node, 0).shape[3], graph.output_tensor(node).shape[3]
        if rows.kernel * columns.kernel > 1:
            # The windows of a column set are copied before any of its pixels is written.
            return window_overlap(rows, columns, channels_in, channels_out, together=columns_at_once(_rows(graph, node).shape[1]))
        # Filters of four pixels are written while others still read them; the last four overlap the ones before.
        return window_overlap(rows, columns, channels_in, channels_out, held_bytes=4 * channels_out)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        rows = _rows(graph, node)
        constants = channel_constants(graph, node, rows, 0, together=4)
        padded = np.zeros((len(rows), rounded_up(rows.shape[1], 16)), np.int8)
        padded[:, : rows.shape[1]] = rows
        printer.call(
            self.symbol,
            printer.params("tyf_conv2d_s8_params", conv2d_params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.constant("stream", "uint32_t", filter_stream(padded.reshape(len(rows), -1, 16), constants)),
            printer.scratch() if self.scratch_bytes(graph, node) else "NULL",
            printer.tensor(node.outputs[0]),
        )


def _rows(graph: Graph, node: Node) -> Array:
    """Weights ``[filters, depth]``."""
    weights = data_of(graph.input_tensor(node, 1))
    return weights.reshape(weights.shape[0], -1)


def columns_at_once(depth: int) -> int:
    """TYF_MVE_COLUMNS of kernels_mve.h."""
    return TILE_PIXELS * max(1, 128 // rounded_up(depth, 16))


def conv2d_scratch_bytes(depth: int, filters: int) -> int:
    """TYF_CONV2D_MVE_SCRATCH_BYTES of kernels_mve.h."""
    return columns_at_once(depth) * rounded_up(depth, 16) + (TILE_PIXELS * rounded_up(filters, 4) if filters % 4 else 0)
