"""Weights packed for the kernels of cores with the DSP extension, and the bounds those kernels rely on.

Twins in C: ``firmware/lib/nn/src/*_dsp.c``; ``kernels.h`` states what they ask for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import CallPrinter, data_of
from tinyfleet_codegen.weights import bias_values, largest_sums, requantization

CPU_CLASS = "dsp"
SUM_LIMIT = 2**30
"""Requantisation in few instructions is exact below this."""


def fits(graph: Graph, node: Node, channel_axis: int) -> bool:
    """Whether every channel keeps the bounds: sums below SUM_LIMIT, a shift to the right of 1 to 31."""
    shifts = requantization(graph, node).shifts
    return bool(largest_sums(graph, node, channel_axis).max() < SUM_LIMIT) and all(-31 <= s <= -1 for s in shifts)


def as_words(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint32]:
    """Reinterpret the last axis as little-endian words."""
    return np.ascontiguousarray(values).reshape(-1).view("<u4")


def pack_rows(weights: npt.NDArray[np.generic], together: int) -> npt.NDArray[np.uint32]:
    """Rows of int8 ``[rows, depth]``, padded with zeros, so that ``together`` rows alternate word by word."""
    rows, depth = weights.shape
    padded = np.zeros((-(-rows // together) * together, -(-depth // 4) * 4), np.int8)
    padded[:rows, :depth] = weights
    blocks = padded.reshape(-1, together, padded.shape[1] // 4, 4).transpose(0, 2, 1, 3)
    return as_words(blocks)


def pack_taps(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.uint32]:
    """Depthwise int8 ``[taps, channels]`` as int16 pairs of taps: ``[channels / 4][pairs][4]`` words."""
    taps, channels = weights.shape
    padded = np.zeros((taps + taps % 2, channels), np.int16)
    padded[:taps] = weights
    pairs = padded.reshape(-1, 2, channels // 4, 4).transpose(2, 0, 3, 1)
    return as_words(pairs)


def emit_packed(
    graph: Graph, node: Node, printer: CallPrinter, *, kernel: str, params: str, packed: npt.NDArray[np.uint32], channels: int
) -> None:
    """Print packed weights, bias, multipliers and right shifts, one per channel, and the call."""
    scaling = requantization(graph, node)
    repeat = channels // len(scaling.multipliers)
    printer.call(
        kernel,
        params,
        printer.tensor(node.inputs[0]),
        printer.constant("weights", "uint32_t", packed),
        printer.constant("bias", "int32_t", bias_values(graph, node, channels)),
        printer.constant("multiplier", "int32_t", np.repeat(np.array(scaling.multipliers), repeat)),
        printer.constant("right_shift", "int8_t", np.repeat(-np.array(scaling.shifts), repeat)),
        printer.scratch(),
        printer.tensor(node.outputs[0]),
    )


def filters_of(graph: Graph, node: Node) -> npt.NDArray[np.generic]:
    """The constant weights as they stand in the file."""
    return data_of(graph.input_tensor(node, 1))
