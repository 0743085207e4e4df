"""Quantized arithmetic of TensorFlow Lite Micro in exact integers: multipliers, requantisation, ranges.

All vectorised over NumPy int32/int64. ``requantize`` is the double rounding that the oracle uses: a rounding doubling
high multiply, then a rounding shift (``docs/decisions/0001-oracle-and-rounding.md``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import QuantError

Int64Array = npt.NDArray[np.int64]

INT32_MIN = -(2**31)
INT32_MAX = 2**31 - 1


def quantize_multiplier(scale: float) -> tuple[int, int]:
    """Split a real scale into a Q31 multiplier and a power-of-two shift.

    ``scale == multiplier * 2**(shift - 31)`` to within half a unit of the multiplier.

    Args:
        scale: Effective scale ``s_input * s_weight / s_output``; finite and >= 0.

    Returns:
        ``(multiplier, shift)``: multiplier in [2**30, 2**31), shift > 0 is to the left.
        ``(0, 0)`` when the scale is zero or too small to be represented.

    Raises:
        QuantError: the scale is not finite, negative, or needs a shift above 30.

    Source: Jacob et al. 2018 (arXiv:1712.05877), section 2.2; TFLite 8-bit quantization spec.
    """
    if not (math.isfinite(scale) and scale >= 0.0):
        raise QuantError(f"scale must be finite and >= 0, got {scale!r}")
    fraction, shift = math.frexp(scale)
    # Ties round away from zero, as on the device; round() would take them to even.
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift > 30:
        raise QuantError(f"scale {scale!r} is too large: it needs a left shift of {shift}, at most 30 are possible")
    return (0, 0) if shift < -31 else (multiplier, shift)


def quantize_signed_multiplier(scale: float) -> tuple[int, int]:
    """As ``quantize_multiplier``, for a scale of either sign; the sign is the multiplier's."""
    multiplier, shift = quantize_multiplier(abs(scale))
    return (-multiplier if scale < 0 else multiplier), shift


def rounding_doubling_high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> Int64Array:
    """``round(a * b / 2**31)`` for int32 values, ties away from zero; INT32_MIN * INT32_MIN saturates.

    Source: SaturatingRoundingDoublingHighMul of gemmlowp (behaviour, not code).
    """
    x, y = np.asarray(a, np.int64), np.asarray(b, np.int64)
    product = x * y
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    # C division truncates towards zero, NumPy's >> floors.
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
    return np.where((x == INT32_MIN) & (y == INT32_MIN), INT32_MAX, high)


def rounding_shift_right(x: npt.ArrayLike, exponent: npt.ArrayLike) -> Int64Array:
    """``round(x / 2**exponent)``, ties away from zero; exponent in [0, 31]."""
    value, e = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << e) - 1
    remainder = value & mask
    threshold = (mask >> 1) + (value < 0)
    return (value >> e) + (remainder > threshold)


def requantize(x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Int64Array:
    """``x * multiplier * 2**(shift - 31)`` with double rounding; all int32, broadcasting.

    A positive shift is applied first, modulo 2**32 as on the device.
    """
    value, s = np.asarray(x, np.int64), np.asarray(shift, np.int64)
    left, right = np.maximum(s, 0), np.maximum(-s, 0)
    return rounding_shift_right(rounding_doubling_high_mul(wrap_int32(value << left), multiplier), right)


def reduce_multiplier(multiplier: int, shift: int) -> tuple[int, int]:
    """A multiplier and shift of ``quantize_multiplier`` as ``requantize_wide`` takes them: 15 bits, and how far to the right."""
    reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
    return reduced, 15 - shift


def requantize_wide(x: npt.ArrayLike, multiplier: npt.ArrayLike, right: npt.ArrayLike) -> Int64Array:
    """``x * multiplier * 2**-right`` with one rounding, ties up; x in int64, below 2**47; the result wraps to int32."""
    value, m, r = np.asarray(x, np.int64), np.asarray(multiplier, np.int64), np.asarray(right, np.int64)
    return wrap_int32((value * m + (np.int64(1) << (r - 1))) >> r)


def wrap_int32(x: Int64Array) -> Int64Array:
    """What a 32-bit register keeps of each value."""
    return (x + 2**31) % 2**32 - 2**31


def round_half_away(x: float) -> int:
    """Nearest integer, ties away from zero (C ``round``)."""
    return math.floor(x + 0.5) if x >= 0 else -math.floor(-x + 0.5)


def round_floats_half_away(x: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Nearest integers, ties away from zero, elementwise (C ``roundf``)."""
    # Adding 0.5 in float32 would round 0.49999997 up; truncation and fraction are exact.
    whole = np.trunc(x)
    rounded: npt.NDArray[np.float64] = (whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0)).astype(np.float64)
    return rounded
