"""DEPTHWISE_CONV_2D 3x3, one plane a channel, two by four outputs at a time."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.convolution import ConvolutionAttrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import bounds_hold
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.mve.tables import clamps_negative, depthwise_stream
from tinyfleet_codegen.op import Array, CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.depthwise_conv2d import depthwise_conv2d_params
from tinyfleet_codegen.overlap import Overlap

LINE_LIMIT = 84
"""TYF_DEPTHWISE3X3_MVE_LINE_LIMIT of kernels_mve.h: the lines of four channels lie in 256 bytes, which a byte offset reaches."""
OFFSET_LIMIT = 65536
SCRATCH_LIMIT = 16384
"""More memory than this is not worth it."""


class Depthwise3x3Mve(Kernel):
    """One stride, multiplier 1, channels a multiple of 4."""

    op = "DEPTHWISE_CONV_2D"

    def __init__(self, *, stride: int, relu: bool) -> None:
        self.stride, self.relu = stride, relu
        self.symbol = f"tyf_depthwise3x3_s{stride}{'_relu' if relu else ''}_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, weights = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1)
        channels = graph.input_tensor(node, 0).shape[3]
        return (
            weights.shape[1:3] == (3, 3)
            and (attrs.stride_h, attrs.stride_w) == (self.stride, self.stride)
            and (attrs.dilation_h, attrs.dilation_w) == (1, 1)
            and weights.shape[3] == channels
            and channels % 4 == 0
            and self.relu == clamps_negative(graph, node)
            and bool(self._orientations(graph, node))
            and bounds_hold(graph, node, channel_axis=3)
        )

    def _orientations(self, graph: Graph, node: Node) -> list[tuple[int, int, int]]:
        """Possible (columns_across, outputs along the lines, outputs across them), fewest steps first."""
        _, height, width, channels = graph.output_tensor(node).shape
        found = []
        for across, u, v, reach in ((0, width, height, 2 * width), (1, height, width, (height - 1) * width + 2)):
            line = line_bytes(u, self.stride)
            small = line <= LINE_LIMIT and depthwise3x3_scratch_bytes(u, v, self.stride) <= SCRATCH_LIMIT
            if v >= 2 and small and reach * channels <= OFFSET_LIMIT:
                found.append((-(-u // 4) * -(-v // 2), across, u, v))
        return [(across, u, v) for _, across, u, v in sorted(found)]

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        _, u, v = self._orientations(graph, node)[0]
        return depthwise3x3_scratch_bytes(u, v, self.stride)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        # Four channels of all pixels are copied before the first of them is written.
        return Overlap(step_bytes=graph.input_tensor(node, 0).shape[3])

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        across = self._orientations(graph, node)[0][0]
        printer.call(
            self.symbol,
            printer.params("tyf_depthwise_conv2d_s8_params", depthwise_conv2d_params(graph, node)),
            str(across),
            printer.tensor(node.inputs[0]),
            printer.constant("stream", "uint32_t", depthwise_stream(graph, node, _planes(graph, node, across))),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


def _planes(graph: Graph, node: Node, across: int) -> Array:
    """Weights of each channel as the kernel's lines, ``[channels, 16]``."""
    weights = data_of(graph.input_tensor(node, 1))[0]
    lines = np.zeros((weights.shape[2], 4, 4), np.int8)
    lines[:, :3, :3] = weights.transpose(2, 1, 0) if across else weights.transpose(2, 0, 1)
    return lines.reshape(-1, 16)


def line_bytes(output: int, stride: int) -> int:
    """TYF_DEPTHWISE3X3_MVE_LINE_BYTES of kernels_mve.h."""
    return -(-output // 4) * 4 * stride + 2


def depthwise3x3_scratch_bytes(u: int, v: int, stride: int) -> int:
    """TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES of kernels_mve.h."""
    return -(-u // 4) * 16 + 4 * line_bytes(u, stride) * (v * stride + 2)
