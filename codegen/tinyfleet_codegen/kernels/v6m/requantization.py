"""Requantisation in ten instructions, without a 64-bit product, proven per channel at build time.

A sum ``s`` (bias and input offset included) becomes ``a = s + start``, so that the values above the lower clamp begin
at ``a = 0``. One unsigned comparison with ``limit`` finds both clamps. Inside, the output is the top byte of
``floor(a * m / 2**LOW_BITS) + offset`` with ``m = high * 2**LOW_BITS + low``: two products of 32 bits. That is monotone,
as the oracle's double rounding is, so it is equal everywhere when it is equal on both sides of each of the 255 steps and
at the ends of the range that the weights can reach. Double rounding has a kink at zero (half away from zero after half
up): sums below zero have an offset of their own.

Twin in C: ``scale`` and ``clamp`` in ``firmware/lib/nn/include/tyf/nn/v6m.inc``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinyfleet_codegen.quant import Int64Array, requantize

LOW_BITS = 12
"""TYF_V6M_LOW_BITS of v6m.inc."""
MAX_RANGE = 2 ** (32 - LOW_BITS)
"""``a * low`` must fit 32 bits."""
MAX_SHIFT = 23
NEIGHBOURS = 8

"""How far from its nearest value the multiplier may be moved."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Constants of one channel; all of 32 bits.

    Attributes:
        start: Added to a sum.
        limit: Shifted sums at or above it, compared without sign, are clamped.
        knee: Shifted sum that stands for zero, within 0 .. limit.
        offset: From the knee on.
        offset_below: Below the knee.
        high, low: The multiplier in two parts.
    """

    start: int
    limit: int
    knee: int
    offset: int
    offset_below: int
    high: int
    low: int

    def apply(self, sums: Int64Array) -> Int64Array:
        """What the kernels compute, int64 sums to int64 values in -128 .. 127."""
        a = sums + self.start
        offset = np.where(a < self.knee, self.offset_below, self.offset)
        word = (a * self.high + ((a * self.low) >> LOW_BITS) + offset) & 0xFFFFFFFF
        inside = ((word ^ 0x80000000) - 0x80000000) >> 24
        return np.where(a < 0, -128, np.where(a >= self.limit, 127, inside))


def constant_scaling(value: int) -> Scaling:
    """For a channel without weights and bias: its sum is 0 and gives ``value``."""
    offset = (value << 24) & 0xFFFFFFFF
    return Scaling(start=0, limit=1, knee=0, offset=offset, offset_below=offset, high=0, low=0)


@lru_cache(maxsize=1 << 16)
def find_scaling(multiplier: int, shift: int, zero_point: int, low: int, high: int) -> Scaling | None:
    """Constants that give the oracle's value for every sum in ``low .. high``; None when none were found.

    Args:
        multiplier, shift: As for ``requantize``; only shifts of 1 to MAX_SHIFT to the right are tried.
        low, high: Least and largest sum that the weights can make.
    """
    right = -shift
    if not (1 <= right <= MAX_SHIFT and multiplier > 0):
        return None
    steps = _first_sums(multiplier, right, zero_point)
    first, end = max(low, int(steps[0])), min(high + 1, int(steps[-1]))
    span = end - first
    if not 1 <= span <= MAX_RANGE:
        return None
    near = np.concatenate([steps, steps - 1, np.array([first, end - 1, -1, 0])])
    sums = np.unique(near[(near >= first) & (near < end)])
    values = requantize(sums, np.int64(multiplier), np.int64(shift)) + zero_point
    is_below = sums < 0
    ideal = _shifted(multiplier, LOW_BITS + 24 - 31 - right)
    for distance in range(2 * NEIGHBOURS + 1):
        m = ideal + (distance + 1) // 2 * (1 if distance % 2 else -1)
        if m < 1:
            continue
        words = ((sums - first) * m) >> LOW_BITS
        below, above = (_common_offset(words[part], values[part]) for part in (is_below, ~is_below))
        if below is not None and above is not None:
            return Scaling(
                start=-first,
                limit=span,
                knee=min(max(-first, 0), span),
                offset=above & 0xFFFFFFFF,
                offset_below=below & 0xFFFFFFFF,
                high=m >> LOW_BITS,
                low=m & (2**LOW_BITS - 1),
            )
    return None


def _first_sums(multiplier: int, right: int, zero_point: int) -> Int64Array:
    """Smallest sum that gives at least v, for v = -127 .. 128 before the upper clamp."""
    value = np.arange(-127, 129, dtype=np.int64) - zero_point
    scaled = (value << right) - (np.int64(1) << (right - 1)) + (value <= 0)
    # scaled = floor((sum * multiplier + 2^30) / 2^31), so the sum is the ceiling of the quotient. Exact in int64.
    sums: Int64Array = -((-((scaled << 31) - (1 << 30))) // multiplier)
    return sums


def _shifted(value: int, left: int) -> int:
    """Rounded to nearest for a negative shift."""
    return value << left if left >= 0 else (value + (1 << (-left - 1))) >> -left


def _common_offset(words: Int64Array, values: Int64Array) -> int | None:
    """An offset after which the top byte of each word is its value; None when there is none."""
    if not words.size:
        return 0
    least = int(((values << 24) - words).max())
    most = int((((values + 1) << 24) - 1 - words).min())
    return (least + most) >> 1 if least <= most else None
