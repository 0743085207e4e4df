"""Weights packed for the kernels of cores with the DSP extension, and the bounds those kernels rely on.

Twins in C: ``firmware/lib/nn/src/*_dsp.c``; ``kernels_dsp.h`` states what they ask for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import CallPrinter, data_of
from tinyfleet_codegen.quant import requantize
from tinyfleet_codegen.weights import bias_values, largest_sums, requantization

SUM_LIMIT = 2**30
MAX_SHIFT = 22
"""Requantisation in five instructions is exact below these."""
CONSTANT_SHIFT = 8


def is_constant(graph: Graph, node: Node, channel_axis: int) -> npt.NDArray[np.bool_]:
    """Channels ``[channels]`` whose output does not depend on the input: no weights, or a scale that rounds to zero."""
    weights = data_of(graph.input_tensor(node, 1))
    others = tuple(a for a in range(weights.ndim) if a != channel_axis)
    has_weights = np.any(weights != 0, axis=others)
    constant: npt.NDArray[np.bool_] = ~has_weights | (_per_channel(requantization(graph, node).multipliers, len(has_weights)) == 0)
    return constant


def bounds_hold(graph: Graph, node: Node, channel_axis: int) -> bool:
    """Whether every channel is constant or keeps the bounds: sums below SUM_LIMIT, a shift to the right of 1 to MAX_SHIFT."""
    sums = largest_sums(graph, node, channel_axis)
    shifts = -_per_channel(requantization(graph, node).shifts, len(sums))
    return bool(np.all(is_constant(graph, node, channel_axis) | ((sums < SUM_LIMIT) & (shifts >= 1) & (shifts <= MAX_SHIFT))))


HALVES_SUM_LIMIT = 2**23
"""Sums times 256 must fit int32."""


def halves_fit(graph: Graph, node: Node, channel_axis: int) -> bool:
    """Whether weights can be stored in halves: every two fit 16 bits and the sums keep HALVES_SUM_LIMIT."""
    sums = largest_sums(graph, node, channel_axis)
    is_small = bool(np.all(is_constant(graph, node, channel_axis) | (sums < HALVES_SUM_LIMIT)))
    return is_small and bool(data_of(graph.input_tensor(node, 1)).min() > -128)


def as_halves(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.int8]:
    """Rows of int8 ``[rows, depth]`` as ``[rows, depth rounded up to 4]``, each pair (w0, w1) as the number 256 * w1 + w0."""
    rows, depth = weights.shape
    padded = np.zeros((rows, -(-depth // 4) * 4), np.int16)
    padded[:, :depth] = weights
    return (256 * padded[:, 1::2] + padded[:, 0::2]).astype("<i2").view(np.int8)


def halves_channel_table(graph: Graph, node: Node, rows: npt.NDArray[np.generic], *, together: int) -> npt.NDArray[np.int64]:
    """``channel_table`` of output channels along axis 0 whose bias makes up for weights ``[channels, depth]`` in halves."""
    table = channel_table(graph, node, 0, together=together)
    weights = rows.astype(np.int64)
    offset = -graph.input_tensor(node, 0).zero_point
    bias = 256 * (table[: len(weights), 0] + offset * weights.sum(axis=1)) - 127 * weights[:, 0::2].sum(axis=1)
    # Modulo 2^32: only the whole sum has to fit.
    table[: len(weights), 0] = bias.astype(np.uint64).astype(np.uint32).view(np.int32)
    return table


def channel_table(graph: Graph, node: Node, channel_axis: int, *, together: int) -> npt.NDArray[np.int64]:
    """``tyf_dsp_channel`` of each output channel, ``[channels rounded up to together, 4]``."""
    constant = is_constant(graph, node, channel_axis)
    count = len(constant)
    scaling, output = requantization(graph, node), graph.output_tensor(node)
    bias = bias_values(graph, node, count)
    multipliers, shifts = _per_channel(scaling.multipliers, count), _per_channel(scaling.shifts, count)
    right = np.where(constant, CONSTANT_SHIFT, -shifts)
    # A constant channel multiplies by zero; its value sits half a step up, so that the sign of a sum cannot matter.
    value = np.clip(requantize(bias, multipliers, shifts) + output.zero_point, -128, 127)
    offset = np.where(constant, value, output.zero_point)
    table = np.zeros((-(-count // together) * together, 4), np.int64)
    table[:, 3] = CONSTANT_SHIFT
    table[:count] = np.stack(
        [np.where(constant, 0, bias), np.where(constant, 0, multipliers), (np.int64(1) << (right - 1)) + (offset << right), right], axis=1
    )
    return table


def _per_channel(values: tuple[int, ...], count: int) -> npt.NDArray[np.int64]:
    """One value a channel, from one value a channel or one for all."""
    return np.repeat(np.array(values, np.int64), count // len(values))


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
    graph: Graph,
    node: Node,
    printer: CallPrinter,
    *,
    kernel: str,
    params: str,
    packed: npt.NDArray[np.uint32],
    table: npt.NDArray[np.int64],
) -> None:
    """Print packed weights, the channel table and the call."""
    channels = printer.table("channels", "tyf_dsp_channel", table)
    weights = printer.constant("weights", "uint32_t", packed)
    printer.call(kernel, params, printer.tensor(node.inputs[0]), weights, channels, printer.scratch(), printer.tensor(node.outputs[0]))
