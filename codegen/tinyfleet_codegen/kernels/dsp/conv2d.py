"""CONV_2D, two pixels by two channels at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.convolution import ConvolutionAttrs, convolution_axes
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import (
    as_halves,
    bounds_hold,
    channel_table,
    emit_packed,
    halves_channel_table,
    halves_fit,
    is_constant,
    pack_rows,
)
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import Array, CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.conv2d import conv2d_params
from tinyfleet_codegen.overlap import Overlap, window_overlap
from tinyfleet_codegen.weights import largest_sums


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

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        channels_in, channels_out = graph.input_tensor(node, 0).shape[3], graph.output_tensor(node).shape[3]
        # The windows of two pixels are copied before either is written.
        return window_overlap(*convolution_axes(graph, node), channels_in, channels_out, together=2)

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

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        return conv2d_halves_scratch_bytes(_rows(graph, node).shape[1], graph.input_tensor(node, 0).shape[3])

    def fits(self, graph: Graph, node: Node) -> bool:
        is_even = graph.input_tensor(node, 1).shape[0] % 2 == 0
        return is_even and super().fits(graph, node) and halves_fit(graph, node, channel_axis=0) and _rounds_fit(graph, node)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        printer.call(
            self.symbol,
            printer.params("tyf_conv2d_s8_params", conv2d_params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.constant("stream", "uint32_t", conv2d_stream(graph, node)),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


class Conv2DClampedDsp(Conv2DDsp):
    """The same for outputs with zero point -128, as after ReLU: negative sums are clamped, so they need no rounding of their own."""

    symbol = "tyf_conv2d_clamped_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        return graph.output_tensor(node).zero_point == -128 and super().fits(graph, node)


def conv2d_stream(graph: Graph, node: Node) -> npt.NDArray[np.uint32]:
    """For each two channels, in the order of use: biases, words of weights in turn, then multiplier, round and shift of each."""
    rows = _rows(graph, node)
    table = halves_channel_table(graph, node, rows, together=2)
    pairs = len(rows) // 2
    bias = table[:, 0].reshape(pairs, 2)
    finish = np.stack([table[:, 1], 64 + 128 * table[:, 2], 7 + table[:, 3]], axis=1).reshape(pairs, 6)
    weights = pack_rows(as_halves(rows), together=2).reshape(pairs, -1)
    words = [part.astype(np.int64).astype("<i4").view("<u4") for part in (bias, finish)]
    return np.concatenate([words[0], weights, words[1]], axis=1)


def _rounds_fit(graph: Graph, node: Node) -> bool:
    """Whether 128 times a scaled sum plus the rounding constant stays in int32."""
    constant = is_constant(graph, node, 0)
    _, _, rounds, _ = channel_table(graph, node, 0, together=1).T
    sums = np.where(constant, 0, largest_sums(graph, node, 0))
    return bool(np.all(128 * (sums + np.abs(rounds) + 2) < 2**31))


def _rows(graph: Graph, node: Node) -> Array:
    """Weights ``[filters, depth]``."""
    weights = data_of(graph.input_tensor(node, 1))
    return weights.reshape(weights.shape[0], -1)


def conv2d_scratch_bytes(depth: int) -> int:
    """TYF_CONV2D_DSP_SCRATCH_BYTES of kernels_dsp.h."""
    return 20 * ((depth + 3) // 4)


def conv2d_halves_scratch_bytes(depth: int, input_c: int) -> int:
    """TYF_CONV2D_HALVES_DSP_SCRATCH_BYTES of kernels_dsp.h."""
    return (16 if input_c % 4 == 0 else 20) * ((depth + 3) // 4)
