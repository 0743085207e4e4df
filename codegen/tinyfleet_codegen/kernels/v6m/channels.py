"""Output channels as the kernels for ARMv6-M take them: weights, start of the sums, proven requantisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.v6m.requantization import Scaling, constant_scaling, find_scaling
from tinyfleet_codegen.op import data_of
from tinyfleet_codegen.quant import Int64Array, requantize
from tinyfleet_codegen.weights import bias_values, requantization

LANE_LIMIT = 255
"""Most that |weights| may sum to before 16-bit lanes of products with int8 overflow: 255 * 128 < 2^15."""


@dataclass(frozen=True, slots=True)
class Channels:
    """All output channels of a node.

    Attributes:
        weights: ``[channels, depth]``; all zero where the output does not depend on the input.
        starts: First value of each sum: bias, input offset and the start of the scaling.
        scalings: One a channel.
    """

    weights: Int64Array
    starts: tuple[int, ...]
    scalings: tuple[Scaling, ...]

    @property
    def have_knee(self) -> bool:
        """Whether some channel has sums on both sides of its knee."""
        return any(0 < s.knee < s.limit for s in self.scalings)

    def table(self, knee: bool) -> Int64Array:
        """``channels`` of kernels_v6m.h, one row each, as int32."""
        rows = [_row(start, scaling, knee) for start, scaling in zip(self.starts, self.scalings, strict=True)]
        return as_int32(np.array(rows, np.int64))


def scaling_words(scalings: Sequence[Scaling]) -> Int64Array:
    """Limit, knee, offset below the knee, offset, high, low of each, as int32."""
    rows = [[s.limit, s.knee, s.offset_below, s.offset, s.high, s.low] for s in scalings]
    return as_int32(np.array(rows, np.int64))


def as_int32(values: Int64Array) -> Int64Array:
    """Words that are read with or without a sign, as int32."""
    return values.astype(np.uint32).view(np.int32).astype(np.int64)


def _row(start: int, s: Scaling, knee: bool) -> list[int]:
    if knee:
        return [start, s.limit, s.knee, s.offset_below, s.offset, s.high, s.low]
    return [start, s.limit, s.offset if s.knee < s.limit else s.offset_below, s.high, s.low]


def prepare_channels(graph: Graph, node: Node, channel_axis: int, *, shared: bool = False) -> Channels | None:
    """Weights along ``channel_axis`` with everything that depends on them; None when a channel has no proven scaling.

    Args:
        shared: All channels have the same scaling; None when there is none.
    """
    values = data_of(graph.input_tensor(node, 1)).astype(np.int64)
    count = values.shape[channel_axis]
    weights = np.moveaxis(values, channel_axis, 0).reshape(count, -1).copy()
    source, output, scaling = graph.input_tensor(node, 0), graph.output_tensor(node), requantization(graph, node)
    repeat = count // len(scaling.multipliers)
    multipliers, shifts = np.repeat(scaling.multipliers, repeat), np.repeat(scaling.shifts, repeat)
    starts = bias_values(graph, node, count) - source.zero_point * weights.sum(axis=1)
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    lowest, highest = starts - 128 * positive + 127 * negative, starts + 127 * positive - 128 * negative
    if shared:
        lowest[:], highest[:] = lowest.min(), highest.max()
    ends = np.stack([lowest, highest])
    at_ends = np.clip(requantize(ends, multipliers, shifts) + output.zero_point, -128, 127)
    # A shift to the left wraps around, so that equal ends say nothing.
    is_constant = (at_ends[0] == at_ends[1]) & (shifts <= 0)
    weights[is_constant] = 0
    scalings = []
    for i in range(count):
        if is_constant[i]:
            found: Scaling | None = constant_scaling(int(at_ends[0, i]))
            starts[i] = 0
        else:
            found = find_scaling(int(multipliers[i]), int(shifts[i]), output.zero_point, int(lowest[i]), int(highest[i]))
        if found is None:
            return None
        scalings.append(found)
    if shared and len(set(scalings)) > 1:
        return None
    return Channels(weights, tuple(int(b) + s.start for b, s in zip(starts, scalings, strict=True)), tuple(scalings))
