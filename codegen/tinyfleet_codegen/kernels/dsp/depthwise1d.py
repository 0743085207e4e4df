"""DEPTHWISE_CONV_2D along one dimension, one row of inputs a channel."""

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


class Depthwise1DDsp(Kernel):
    """An image and a kernel of one column, or of one row; stride 1, at least two outputs, channels a multiple of 4."""

    op = "DEPTHWISE_CONV_2D"
    symbol = "tyf_depthwise1d_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs = attrs_of(node, ConvolutionAttrs)
        _, input_h, input_w, channels = graph.input_tensor(node, 0).shape
        _, kernel_h, kernel_w, channels_out = graph.input_tensor(node, 1).shape
        return (
            (input_w == kernel_w == 1 or input_h == kernel_h == 1)
            and (attrs.stride_h, attrs.stride_w, attrs.dilation_h, attrs.dilation_w) == (1, 1, 1, 1)
            and graph.output_tensor(node).elements // channels_out >= 2
            and channels == channels_out
            and channels % 4 == 0
            and bounds_hold(graph, node, channel_axis=3)
        )

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        _, h, w, _ = graph.output_tensor(node).shape
        _, kernel_h, kernel_w, _ = graph.input_tensor(node, 1).shape
        return depthwise1d_scratch_bytes(h * w, kernel_h * kernel_w)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        # Of four channels, all pixels are copied before any is written; the output's channels must meet the input's.
        return Overlap(step_bytes=graph.input_tensor(node, 0).shape[3])

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        printer.call(
            self.symbol,
            printer.params("tyf_depthwise_conv2d_s8_params", _as_column(depthwise_conv2d_params(graph, node))),
            printer.tensor(node.inputs[0]),
            printer.constant("stream", "uint32_t", _stream(graph, node)),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


def depthwise1d_scratch_bytes(outputs: int, taps: int) -> int:
    """TYF_DEPTHWISE1D_DSP_SCRATCH_BYTES of kernels_dsp.h."""
    return 4 * (outputs - 2 + 4 * ((taps + 4) // 4))


def _as_column(params: dict[str, int]) -> dict[str, int]:
    """A row has the bytes of a column of the same length, which is what the kernel takes."""
    if params["window.input_w"] == params["window.kernel_w"] == 1:
        return params
    turned = {key: params[key.removesuffix("_h") + "_w"] for key in params if key.startswith("window.") and key.endswith("_h")}
    flat = {key: params[key.removesuffix("_w") + "_h"] for key in params if key.startswith("window.") and key.endswith("_w")}
    return {**params, **turned, **flat}


def _stream(graph: Graph, node: Node) -> npt.NDArray[np.uint32]:
    """Of each channel, for each four inputs (w0, w2), (w1, w3), (w-1, w1) of doubled weights, then what finishes a sum."""
    weights = data_of(graph.input_tensor(node, 1)).astype(np.int64)
    channels = weights.shape[3]
    weights = weights.reshape(-1, channels).T
    words = (weights.shape[1] + 4) // 4
    # One zero in front, which the next output's first input meets.
    padded = np.zeros((channels, 1 + 4 * words), np.int64)
    padded[:, 1 : 1 + weights.shape[1]] = 2 * weights
    taps = padded.astype("<i2")
    table = channel_table(graph, node, 3, together=1)
    pairs = np.stack(
        [
            np.stack([taps[:, 1::4], taps[:, 3::4]], axis=2),
            np.stack([taps[:, 2::4], taps[:, 4::4]], axis=2),
            np.stack([taps[:, 0:-1:4], taps[:, 2::4]], axis=2),
        ],
        axis=2,
    )
    bias = 2 * (table[:, 0] - graph.input_tensor(node, 0).zero_point * weights.sum(axis=1))
    finish = np.concatenate([bias[:, None], table[:, 1:]], axis=1).astype("<i4").view("<u4")
    return np.concatenate([np.ascontiguousarray(pairs).reshape(channels, -1).view("<u4"), finish], axis=1)
