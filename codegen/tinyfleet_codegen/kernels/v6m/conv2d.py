"""CONV_2D, four pixels at a time, two products per multiplication."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.convolution import convolution_axes
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.v6m.channels import LANE_LIMIT, prepare_channels
from tinyfleet_codegen.op import CallPrinter
from tinyfleet_codegen.ops.conv2d import conv2d_params
from tinyfleet_codegen.overlap import Overlap, window_overlap
from tinyfleet_codegen.quant import Int64Array

TOGETHER = 8
"""Filters whose weights alternate."""
CHAIN = 8
"""CHAIN of conv2d_block_v6m.S: a group has 2 to CHAIN + 2 products."""
STEP_BYTES = 12
SECOND_CHAIN_BYTES = CHAIN * STEP_BYTES + 24 + 2


class Conv2DV6M(Kernel):
    """One group, any window."""

    op = "CONV_2D"
    symbol = "tyf_conv2d_s8_v6m"
    knee = False

    def fits(self, graph: Graph, node: Node) -> bool:
        if graph.input_tensor(node, 0).shape[3] != graph.input_tensor(node, 1).shape[3]:
            return False
        channels = prepare_channels(graph, node, channel_axis=0)
        return channels is not None and (self.knee or not channels.have_knee) and pairs_fit(channels.weights)

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        channels_out, kh, kw, channels = graph.input_tensor(node, 1).shape
        return conv2d_scratch_bytes(kh * kw * channels, channels, channels_out)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        channels_in, channels_out = graph.input_tensor(node, 0).shape[3], graph.output_tensor(node).shape[3]
        return window_overlap(*convolution_axes(graph, node), channels_in, channels_out, together=4)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        channels = prepare_channels(graph, node, channel_axis=0)
        assert channels is not None
        weights = _even_depth(channels.weights)
        printer.call(
            self.symbol,
            printer.params("tyf_conv2d_s8_params", conv2d_params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.constant("weights", "uint32_t", interleave(weights)),
            printer.constant("schedule", "uint8_t", schedule_groups(weights)),
            printer.constant("channels", "int32_t", channels.table(self.knee)),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )


class Conv2DKneeV6M(Conv2DV6M):
    """The same where negative sums are not clamped away: two more instructions an output."""

    symbol = "tyf_conv2d_knee_s8_v6m"
    knee = True


def conv2d_scratch_bytes(depth: int, input_c: int, output_c: int) -> int:
    """TYF_CONV2D_V6M_SCRATCH_BYTES of kernels_v6m.h."""
    return 8 * (depth + 1) + 8 + input_c + 4 * output_c


def pairs_fit(weights: Int64Array) -> bool:
    """Whether any two neighbours of ``[channels, depth]`` fit 16-bit lanes, so that groups of two always do."""
    magnitudes = np.abs(weights)
    return not magnitudes.size or bool((magnitudes[:, :-1] + magnitudes[:, 1:]).max(initial=0) <= LANE_LIMIT)


def _even_depth(weights: Int64Array) -> Int64Array:
    return np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))


def interleave(weights: Int64Array) -> npt.NDArray[np.uint32]:
    """Weights ``[channels, depth]`` as words: byte by byte from TOGETHER channels, the first block filled up at its front."""
    count, depth = weights.shape
    padded = np.zeros((-(-count // TOGETHER) * TOGETHER, depth), np.int8)
    padded[len(padded) - count :] = weights
    blocks = padded.reshape(-1, TOGETHER, depth).transpose(0, 2, 1)
    return np.ascontiguousarray(blocks).reshape(-1).view("<u4")


def schedule_groups(weights: Int64Array) -> npt.NDArray[np.uint8]:
    """Jump distances of the fewest groups whose |weights| fit 16-bit lanes, channel after channel.

    Args:
        weights: ``[channels, depth]``, depth even.
    """
    count, depth = weights.shape
    reach = np.concatenate([np.zeros((count, 1), np.int64), np.abs(weights).cumsum(axis=1)], axis=1)
    fewest = np.full((depth + 1, count), depth + 1)
    fewest[0] = 0
    length = np.zeros((depth + 1, count), np.int64)
    for end in range(2, depth + 1):
        for n in range(2, min(CHAIN + 2, end) + 1):
            groups = np.where(reach[:, end] - reach[:, end - n] <= LANE_LIMIT, fewest[end - n] + 1, depth + 1)
            # Of equals the longer group last: nothing depends on it but the bytes.
            is_better = groups <= fewest[end]
            fewest[end] = np.where(is_better, groups, fewest[end])
            length[end] = np.where(is_better, n, length[end])
    distances: list[int] = []
    for channel in range(count):
        end, chain_bytes, backwards = depth, SECOND_CHAIN_BYTES, []
        while end:
            n = int(length[end, channel])
            backwards.append((CHAIN + 2 - n) * STEP_BYTES + chain_bytes)
            end, chain_bytes = end - n, 0
        distances += reversed(backwards)
    return np.array(distances, np.uint8)
