"""Logistic and hyperbolic tangent of int16, as the oracle computes them: one table of 256 values and linear interpolation.

Values lie in Q4.11 times a power of two; results in Q0.15. The C twin is ``tyf/nn/sigmoid.h``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.quant import Int64Array

STEPS_PER_UNIT = 24
"""Entry i is of i / 24: the argument is multiplied by 3 / 4, so that 8.0 in Q3.12 is entry 192."""


def _sigmoid_table() -> npt.NDArray[np.uint16]:
    """``65536 / (1 + exp(-i / 24))``, raised by half of what a straight line to the next entry lies too low in the middle."""

    def curve(i: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 65536.0 / (1.0 + np.exp(-i / STEPS_PER_UNIT))

    i = np.arange(256.0)
    sagitta = curve(i + 0.5) - (curve(i) + curve(i + 1)) / 2
    table = np.floor(curve(i) + sagitta / 2 + 0.5)
    table[255] = 65535.0  # the end, which is only ever interpolated to
    return table.astype(np.uint16)


SIGMOID_TABLE = _sigmoid_table()


def _interpolated(magnitude: Int64Array, fraction_bits: int, flat: int) -> Int64Array:
    """The table at a magnitude in entries of ``2**fraction_bits``; ``flat`` from the last entry on."""
    table = SIGMOID_TABLE.astype(np.int64)
    entry = np.minimum(magnitude >> fraction_bits, 254)
    fraction = magnitude & ((1 << fraction_bits) - 1)
    inside = (table[entry] << fraction_bits) + fraction * (table[entry + 1] - table[entry])
    return np.where(magnitude >> fraction_bits >= 255, flat, inside)


def _scaled(x: npt.ArrayLike, multiplier: int, shift: int) -> Int64Array:
    rounded: Int64Array = (np.asarray(x, np.int64) * multiplier + ((1 << shift) >> 1)) >> shift
    return rounded


def logistic_q15(x: npt.ArrayLike, multiplier: int = 3, shift: int = 0) -> Int64Array:
    """1 / (1 + exp(-x)) in Q0.15 of int16; ``x * multiplier >> shift`` is 3 * 2**12 for 1.0."""
    value = _scaled(x, multiplier, shift)
    half = _interpolated(np.abs(value), 9, 0x7FFF << 10)
    return np.where(value >= 0, half + (1 << 9), (1 << 25) - half + (1 << 9) - 1) >> 10


def tanh_q15(x: npt.ArrayLike, multiplier: int = 3, shift: int = 0) -> Int64Array:
    """tanh(x) in Q0.15 of int16; ``x * multiplier >> shift`` is 3 * 2**12 for 1.0."""
    value = _scaled(x, multiplier, shift)
    half = _interpolated(np.abs(value), 8, 0xFFFF << 8)
    return np.where(value >= 0, half - (1 << 23) + (1 << 7), -half + (1 << 23) + (1 << 7) - 1) >> 8
