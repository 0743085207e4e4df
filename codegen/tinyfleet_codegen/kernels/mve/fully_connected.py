"""FULLY_CONNECTED, eight units at a time."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import as_words, bounds_hold
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.mve.tables import Words, channel_constants, clamps_negative, int32_words, rounded_up
from tinyfleet_codegen.op import CallPrinter, data_of
from tinyfleet_codegen.ops.fully_connected import fully_connected_params

TOGETHER = 8


class FullyConnectedMve(Kernel):
    """Any shape."""

    op = "FULLY_CONNECTED"

    def __init__(self, *, relu: bool) -> None:
        self.relu = relu
        self.symbol = f"tyf_fully_connected{'_relu' if relu else ''}_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        return self.relu == clamps_negative(graph, node) and bounds_hold(graph, node, channel_axis=0)

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        return fully_connected_scratch_bytes(graph.input_tensor(node, 1).shape[1])

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        printer.call(
            self.symbol,
            printer.params("tyf_fully_connected_s8_params", fully_connected_params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.constant("stream", "uint32_t", _stream(graph, node)),
            printer.scratch() if self.scratch_bytes(graph, node) else "NULL",
            printer.tensor(node.outputs[0]),
        )


def _stream(graph: Graph, node: Node) -> Words:
    """``stream`` of the kernel, eight units after the other."""
    weights = data_of(graph.input_tensor(node, 1))
    constants = channel_constants(graph, node, weights, 0, together=TOGETHER)
    padded = np.zeros((len(constants), rounded_up(weights.shape[1], 16)), np.int8)
    padded[: len(weights), : weights.shape[1]] = weights
    parts = []
    for first in range(0, len(constants), TOGETHER):
        units = first + np.array([0, 2, 4, 6, 1, 3, 5, 7])
        parts.append(int32_words(constants[units, 0]))
        parts.append(as_words(padded[units].reshape(TOGETHER, -1, 16).transpose(1, 0, 2)))
        parts.append(int32_words(constants[units, 1:].T))
    return np.concatenate(parts)


def fully_connected_scratch_bytes(depth: int) -> int:
    """TYF_FULLY_CONNECTED_MVE_SCRATCH_BYTES of kernels_mve.h."""
    return rounded_up(depth, 16) if depth % 16 else 0
