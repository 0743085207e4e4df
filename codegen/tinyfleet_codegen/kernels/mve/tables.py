"""Weights and constants of channels in the order in which the kernels for Helium read them.

Twins in C: ``firmware/lib/nn/src/*_mve.*``; ``kernels_mve.h`` states what they ask for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import as_words, channel_table
from tinyfleet_codegen.op import Array

Words = npt.NDArray[np.uint32]


def rounded_up(value: int, to: int) -> int:
    """The smallest multiple of ``to`` that is not below ``value``."""
    return -(-value // to) * to


def channel_constants(graph: Graph, node: Node, weights: Array, channel_axis: int, *, together: int) -> npt.NDArray[np.int64]:
    """Bias with the input offset in it, multiplier, round and 24 - shift of each channel, ``[channels rounded up, 4]``, as int32.

    Args:
        weights: ``[channels, depth]``.
    """
    table = channel_table(graph, node, channel_axis, together=together)
    table[: len(weights), 0] -= graph.input_tensor(node, 0).zero_point * weights.astype(np.int64).sum(axis=1)
    # Modulo 2^32: only the whole sum has to fit.
    table[:, 0] = table[:, 0].astype(np.uint64).astype(np.uint32).view(np.int32)
    table[:, 3] = 24 - table[:, 3]
    return table


def clamps_negative(graph: Graph, node: Node) -> bool:
    """Whether no output below the zero point exists, so that the rounding of negative sums cannot be seen."""
    return graph.output_tensor(node).zero_point == -128


def int32_words(values: npt.NDArray[np.int64]) -> Words:
    """int32 as words, flat."""
    return as_words(values.astype("<i4"))


def filter_stream(weights: Array, constants: npt.NDArray[np.int64]) -> Words:
    """``stream`` of the convolution kernels.

    Args:
        weights: ``[filters, blocks, 16]``.
        constants: See :func:`channel_constants`, of filters rounded up to a multiple of 4.
    """
    padded = np.zeros((len(constants), *weights.shape[1:]), np.int8)
    padded[: len(weights)] = weights
    parts = []
    for first in range(0, len(constants), 4):
        for pair in ([first + 3, first + 2], [first + 1, first]):
            parts.append(int32_words(np.repeat(constants[pair, 0], 4)))
            parts.append(as_words(padded[pair].transpose(1, 0, 2)))
            parts.append(int32_words(constants[pair, 1:]))
    return np.concatenate(parts)


def depthwise_stream(graph: Graph, node: Node, weights: Array) -> Words:
    """``stream`` of the depthwise kernels, 9 words a channel.

    Args:
        weights: ``[channels, 16]``.
    """
    constants = channel_constants(graph, node, weights, 3, together=1)
    words = np.zeros((len(weights), 9), "<i4")
    words[:, 1:5] = np.ascontiguousarray(weights).view("<i4")
    words[:, 5:] = constants[:, [1, 2, 3, 0]]
    return as_words(words)
