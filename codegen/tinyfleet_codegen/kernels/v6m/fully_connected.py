"""FULLY_CONNECTED, eight units at a time, four weights in a word."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.convolution import convolution_axes
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.v6m.channels import LANE_LIMIT, Channels, as_int32, prepare_channels, scaling_words
from tinyfleet_codegen.op import CallPrinter
from tinyfleet_codegen.ops.conv2d import conv2d_params
from tinyfleet_codegen.ops.fully_connected import fully_connected_params
from tinyfleet_codegen.overlap import Overlap, forward_overlap
from tinyfleet_codegen.quant import Int64Array

TOGETHER = 8
"""Units of a block."""
MAX_GROUP = 254


class FullyConnectedV6M(Kernel):
    """Any shape."""

    op = "FULLY_CONNECTED"
    symbol = "tyf_fully_connected_s8_v6m"
    shared = False

    def fits(self, graph: Graph, node: Node) -> bool:
        return self._prepare(graph, node) is not None

    def _prepare(self, graph: Graph, node: Node) -> Channels | None:
        return prepare_channels(graph, node, channel_axis=0, shared=self.shared)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        units, depth = graph.input_tensor(node, 1).shape
        rows = np.arange(graph.output_tensor(node).elements // units)
        # A row is read for the last time for its last block of units.
        return forward_overlap(rows * units + (units - 1) // TOGETHER * TOGETHER, rows * depth)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        self._emit(graph, node, printer, fully_connected_params(graph, node))

    def _emit(self, graph: Graph, node: Node, printer: CallPrinter, params: dict[str, int]) -> None:
        channels = self._prepare(graph, node)
        assert channels is not None
        count = len(channels.starts)
        rest = -count % TOGETHER
        weights = np.pad(channels.weights, ((0, rest), (0, 0)))
        printer.call(
            self.symbol,
            printer.params("tyf_fully_connected_s8_params", params),
            printer.tensor(node.inputs[0]),
            printer.constant("weights", "uint32_t", interleave_units(weights)),
            printer.constant("schedule", "uint8_t", schedule_blocks(weights)),
            printer.constant("starts", "int32_t", as_int32(np.pad(np.array(channels.starts, np.int64), (0, rest)))),
            printer.constant("scalings", "int32_t", scaling_words(channels.scalings[: 1 if self.shared else count])),
            printer.tensor(node.outputs[0]),
        )


class FullyConnectedSharedV6M(FullyConnectedV6M):
    """One scale for all weights, as most files have it: one scaling instead of 24 bytes a unit."""

    symbol = "tyf_fully_connected_shared_s8_v6m"
    shared = True


class Conv2DAsDenseV6M(FullyConnectedV6M):
    """CONV_2D of one output pixel that reads the whole image: a dense layer."""

    op = "CONV_2D"

    def fits(self, graph: Graph, node: Node) -> bool:
        shape, (_, *window) = graph.input_tensor(node, 0).shape, graph.input_tensor(node, 1).shape
        is_dense = graph.output_tensor(node).shape[1:3] == (1, 1) and shape == (1, *window)
        return is_dense and all(axis.pad == 0 for axis in convolution_axes(graph, node)) and super().fits(graph, node)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        return forward_overlap((graph.output_tensor(node).elements - 1) // TOGETHER * TOGETHER, 0)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        conv = conv2d_params(graph, node)
        shared = ("input_offset", "output_offset", "activation_min", "activation_max")
        size = {"rows": 1, "depth": graph.input_tensor(node, 0).elements, "units": graph.output_tensor(node).elements}
        self._emit(graph, node, printer, size | {name: conv[name] for name in shared})


def interleave_units(weights: Int64Array) -> npt.NDArray[np.uint32]:
    """Weights ``[units, depth]``, units a multiple of TOGETHER, as words of four bytes weight + 128."""
    units, depth = weights.shape
    blocks = (weights + 128).astype(np.uint8).reshape(units // TOGETHER, TOGETHER, depth).transpose(0, 2, 1)
    return np.ascontiguousarray(blocks).reshape(-1).view("<u4")


def schedule_blocks(weights: Int64Array) -> npt.NDArray[np.uint8]:
    """Lengths of the longest groups whose |weights| fit 16-bit lanes in each of TOGETHER units, and 0 after each block."""
    lengths: list[int] = []
    for block in np.abs(weights).reshape(-1, TOGETHER, weights.shape[1]):
        reach = np.concatenate([np.zeros((TOGETHER, 1), np.int64), block.cumsum(axis=1)], axis=1)
        begin, depth = 0, weights.shape[1]
        while begin < depth:
            fits = (reach[:, begin + 1 :] - reach[:, begin : begin + 1] <= LANE_LIMIT).all(axis=0)
            # The sums only grow, so that the first that does not fit ends the group.
            length = min(int(fits.argmin()) if not fits.all() else len(fits), MAX_GROUP)
            lengths.append(length)
            begin += length
        lengths.append(0)
    return np.array(lengths, np.uint8)
