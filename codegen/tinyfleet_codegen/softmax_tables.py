"""Tables of 513 int16 values with which the oracle computes SOFTMAX of int16: exp on [-10, 0] and 1 / (1 + x) on [0, 1], in Q0.15.

Made in float32, step by step as the oracle does. Twin of the look-up in C: ``firmware/lib/nn/src/softmax_s16_ref.c``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.quant import Int64Array, round_floats_half_away

STEPS = 512
Float32Array = npt.NDArray[np.float32]


def _table(function: Callable[[Float32Array], Float32Array], low: float, high: float) -> npt.NDArray[np.int16]:
    """Values at both ends of each step, lowered by half of what a straight line lies too high in the middle."""
    one = np.float32(1 << 15)
    step = np.float32(high - low) / np.float32(STEPS)
    starts = np.float32(low) + np.arange(STEPS + 1, dtype=np.float32) * step
    values = function(starts) * one
    rounded = round_floats_half_away(values).astype(np.float32)
    line = round_floats_half_away((values[1:] + rounded[:-1]) / np.float32(2)).astype(np.float32)
    middle = round_floats_half_away(function(starts[:-1] + step / np.float32(2)) * one).astype(np.float32)
    rounded[:-1] -= round_floats_half_away((line - middle) / np.float32(2)).astype(np.float32)
    rounded[-1] = round_floats_half_away(function(np.array([high], np.float32)) * one)[0]
    return np.clip(rounded, -(1 << 15), (1 << 15) - 1).astype(np.int16)


# exp in double and rounded: the same on every machine.
EXP_TABLE = _table(lambda x: np.exp(x.astype(np.float64)).astype(np.float32), -10.0, 0.0)
RECIPROCAL_TABLE = _table(lambda x: np.float32(1) / (np.float32(1) + x), 0.0, 1.0)


def look_up(table: npt.NDArray[np.int16], x: Int64Array) -> Int64Array:
    """The table at int16 values, of which the lowest and the highest are its ends."""
    wide = table.astype(np.int64)
    entry = 256 + (x >> 7)
    between: Int64Array = wide[entry] + (((wide[entry + 1] - wide[entry]) * (x & 127) + 64) >> 7)
    return between
