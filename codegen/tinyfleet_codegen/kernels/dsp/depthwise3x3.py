"""DEPTHWISE_CONV_2D 3x3, one plane a channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.convolution import ConvolutionAttrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import bounds_hold, channel_table
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.depthwise_conv2d import depthwise_conv2d_params
from tinyfleet_codegen.overlap import Overlap


class Depthwise3x3Dsp(Kernel):
    """Strides of 1 or 2, at least two by two outputs, channels a multiple of 4, multiplier 1."""

    op = "DEPTHWISE_CONV_2D"
    symbol = "tyf_depthwise3x3_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, weights = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1)
        _, height, width, _ = graph.output_tensor(node).shape
        channels = graph.input_tensor(node, 0).shape[3]
        return (
            weights.shape[1:3] == (3, 3)
            and (attrs.stride_h, attrs.stride_w) in ((1, 1), (2, 2))
            and (attrs.dilation_h, attrs.dilation_w) == (1, 1)
            and min(height, width) >= 2
            and weights.shape[3] == channels
            and channels % 4 == 0
            and bounds_hold(graph, node, channel_axis=3)
        )

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        _, height, width, _ = graph.output_tensor(node).shape
        return depthwise3x3_scratch_bytes(height, width, attrs_of(node, ConvolutionAttrs).stride_h)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        # Of four channels, all pixels are copied before any is written; the output's channels must meet the input's.
        return Overlap(step_bytes=graph.input_tensor(node, 0).shape[3])

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        printer.call(
            self.symbol,
            printer.params("tyf_depthwise_conv2d_s8_params", depthwise_conv2d_params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.table("channels", "tyf_dsp_depthwise3x3", _channels(graph, node)),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


class Depthwise3x3ClampedDsp(Depthwise3x3Dsp):
    """The same for outputs with zero point -128, as after ReLU: negative sums are clamped, so they need no rounding of their own."""

    symbol = "tyf_depthwise3x3_clamped_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        return graph.output_tensor(node).zero_point == -128 and super().fits(graph, node)


def depthwise3x3_scratch_bytes(height: int, width: int, stride: int) -> int:
    """TYF_DEPTHWISE3X3_DSP_SCRATCH_BYTES of kernels_dsp.h."""
    return 4 * (((height - 1) * stride + 3) * ((width - 1) * stride + 3) + 1)


def _channels(graph: Graph, node: Node) -> npt.NDArray[np.int64]:
    """``tyf_dsp_depthwise3x3`` of each channel, ``[channels, 9]``."""
    weights = data_of(graph.input_tensor(node, 1)).astype(np.int64).reshape(3, 3, -1)
    table = channel_table(graph, node, 3, together=1)
    doubled = 2 * weights
    bias = 2 * (table[:, 0] - graph.input_tensor(node, 0).zero_point * weights.sum(axis=(0, 1)))
    pairs = [
        *(_pair(doubled[row, 0], doubled[row, 2]) for row in range(3)),
        _pair(doubled[0, 1], doubled[1, 1]),
        _pair(doubled[2, 1], np.zeros_like(bias)),
    ]
    return np.stack([*pairs, bias, table[:, 1], table[:, 2], table[:, 3]], axis=1)


def _pair(low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Two int16 in an int32, ``low`` in its lower half."""
    return (high << 16) + (low & 0xFFFF)
