"""DEPTHWISE_CONV_2D of 1 x n or n x 1, one plane a channel, eight outputs at a time."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.convolution import ConvolutionAttrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import bounds_hold
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.mve.depthwise3x3 import LINE_LIMIT, OFFSET_LIMIT, SCRATCH_LIMIT
from tinyfleet_codegen.kernels.mve.tables import clamps_negative, depthwise_stream
from tinyfleet_codegen.op import CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.depthwise_conv2d import depthwise_conv2d_params
from tinyfleet_codegen.overlap import Overlap

MAX_TAPS = 13
"""TYF_DEPTHWISE_LINE_MVE_TAPS of kernels_mve.h."""


class DepthwiseLineMve(Kernel):
    """Stride 1, multiplier 1, channels a multiple of 4."""

    op = "DEPTHWISE_CONV_2D"

    def __init__(self, *, relu: bool) -> None:
        self.relu = relu
        self.symbol = f"tyf_depthwise_line{'_relu' if relu else ''}_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, weights = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1)
        _, kh, kw, count = weights.shape
        channels = graph.input_tensor(node, 0).shape[3]
        _, u, v, step = _line(graph, node)
        return (
            min(kh, kw) == 1
            and max(kh, kw) <= MAX_TAPS
            and (attrs.stride_h, attrs.stride_w, attrs.dilation_h, attrs.dilation_w) == (1, 1, 1, 1)
            and count == channels
            and channels % 4 == 0
            and line_bytes(u) <= LINE_LIMIT
            and depthwise_line_scratch_bytes(u, v) <= SCRATCH_LIMIT
            and u * step <= OFFSET_LIMIT
            and self.relu == clamps_negative(graph, node)
            and bounds_hold(graph, node, channel_axis=3)
        )

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        _, u, v, _ = _line(graph, node)
        return depthwise_line_scratch_bytes(u, v)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        # Four channels of all pixels are copied before the first of them is written.
        return Overlap(step_bytes=graph.input_tensor(node, 0).shape[3])

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        weights = data_of(graph.input_tensor(node, 1))
        taps = weights.reshape(-1, weights.shape[3]).T
        padded = np.zeros((len(taps), 16), np.int8)
        padded[:, : taps.shape[1]] = taps
        printer.call(
            self.symbol,
            printer.params("tyf_depthwise_conv2d_s8_params", depthwise_conv2d_params(graph, node)),
            str(_line(graph, node)[0]),
            printer.tensor(node.inputs[0]),
            printer.constant("stream", "uint32_t", depthwise_stream(graph, node, padded)),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


def _line(graph: Graph, node: Node) -> tuple[int, int, int, int]:
    """columns_across, outputs along a line, lines, bytes from output to output along a line."""
    _, height, width, channels = graph.output_tensor(node).shape
    if graph.input_tensor(node, 1).shape[1] == 1:
        return 0, width, height, channels
    return 1, height, width, width * channels


def line_bytes(output: int) -> int:
    """TYF_DEPTHWISE_LINE_MVE_LINE_BYTES of kernels_mve.h."""
    return -(-output // 8) * 8 + MAX_TAPS - 1


def depthwise_line_scratch_bytes(u: int, v: int) -> int:
    """TYF_DEPTHWISE_LINE_MVE_SCRATCH_BYTES of kernels_mve.h."""
    return -(-u // 8) * 16 + 4 * line_bytes(u) * v + 16
