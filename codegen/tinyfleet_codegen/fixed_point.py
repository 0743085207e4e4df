"""Exponential and reciprocal in Q-format integers, as the oracle's softmax computes them.

Qm.n: m integer and n = 31 - m fractional bits in an int32. Every product rounds like ``rounding_doubling_high_mul``.
Behaviour follows gemmlowp's fixedpoint; constants are the mathematical ones in Q0.31.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.quant import INT32_MAX, INT32_MIN, Int64Array, rounding_doubling_high_mul, rounding_shift_right

EXP_MINUS_1_8 = 1895147668  # exp(-1/8)
ONE_THIRD = 715827883
EXP_STEPS = (
    # (exponent e, exp(-2**e) in Q0.31)
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
HALF_SQRT_2 = 1518500250  # sqrt(2) / 2
RECIPROCAL_48_17 = 1515870810  # 48/17 in Q2.29
RECIPROCAL_32_17 = 1010580540  # 32/17 in Q2.29


def _saturating_shift_left(x: Int64Array, exponent: int) -> Int64Array:
    shifted: Int64Array = np.clip(x << exponent, INT32_MIN, INT32_MAX)
    return shifted


def _exp_near_zero(a: Int64Array) -> Int64Array:
    """exp(a) for a in [-1/4, 0), Q0.31 to Q0.31: Taylor of degree 4 around -1/8."""
    x = a + (1 << 28)
    x2 = rounding_doubling_high_mul(x, x)
    x3 = rounding_doubling_high_mul(x2, x)
    x4_over_4 = rounding_shift_right(rounding_doubling_high_mul(x2, x2), 2)
    tail = rounding_shift_right(rounding_doubling_high_mul(x4_over_4 + x3, ONE_THIRD) + x2, 1)
    return EXP_MINUS_1_8 + rounding_doubling_high_mul(EXP_MINUS_1_8, x + tail)


def exp_on_negative_values(a: npt.ArrayLike, integer_bits: int) -> Int64Array:
    """exp(a) for a <= 0 in Q``integer_bits``, result in Q0.31."""
    value = np.asarray(a, np.int64)
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    in_quarter = (value & (quarter - 1)) - quarter
    result = _exp_near_zero(_saturating_shift_left(in_quarter, integer_bits))
    remainder = in_quarter - value
    for exponent, factor in EXP_STEPS:
        if exponent < integer_bits:
            is_set = (remainder & (1 << (fractional_bits + exponent))) != 0
            result = np.where(is_set, rounding_doubling_high_mul(result, factor), result)
    return np.where(value == 0, INT32_MAX, result)


def _two_over_one_plus(a: Int64Array) -> Int64Array:
    """2 / (1 + a) for a in [0, 1], Q0.31 to Q2.29: three Newton steps."""
    total = a + INT32_MAX
    half_denominator = np.where(total >= 0, (total + 1) >> 1, -((1 - total) >> 1))
    x = RECIPROCAL_48_17 + rounding_doubling_high_mul(half_denominator, -RECIPROCAL_32_17)
    for _ in range(3):
        error = (1 << 29) - rounding_doubling_high_mul(half_denominator, x)
        x = x + _saturating_shift_left(rounding_doubling_high_mul(x, error), 2)
    return x


def _one_over_one_plus(a: Int64Array) -> Int64Array:
    """1 / (1 + a) for a in [0, 1], Q0.31 to Q0.31."""
    return _saturating_shift_left(_two_over_one_plus(a), 1)


def logistic(a: npt.ArrayLike, integer_bits: int) -> Int64Array:
    """1 / (1 + exp(-a)) for a in Q``integer_bits``, result in Q0.31."""
    value = np.asarray(a, np.int64)
    positive = _one_over_one_plus(exp_on_negative_values(-np.abs(value), integer_bits))
    return np.where(value == 0, 1 << 30, np.where(value > 0, positive, INT32_MAX - positive))


def tanh(a: npt.ArrayLike, integer_bits: int) -> Int64Array:
    """Hyperbolic tangent of a in Q``integer_bits``, result in Q0.31: (1 - e) / (1 + e) with e = exp(-2 |a|)."""
    value = np.asarray(a, np.int64)
    # The doubling is exact: the same bits in a format of one more integer bit.
    exponential = exp_on_negative_values(-np.abs(value), integer_bits + 1)
    magnitude = _saturating_shift_left(_two_over_one_plus(exponential) - (1 << 29), 2)
    return np.where(value == 0, 0, np.where(value > 0, magnitude, -magnitude))


def reciprocal(x: npt.ArrayLike, integer_bits: int) -> tuple[Int64Array, Int64Array]:
    """1 / x for x > 0 in Q``integer_bits``.

    Returns:
        ``(inverse, bits_over_unit)``: the result is ``inverse * 2**-bits_over_unit``, inverse in Q0.31.
    """
    value = np.asarray(x, np.int64)
    headroom = 32 - np.frexp(value.astype(np.float64))[1].astype(np.int64)
    normalized = (value << headroom) - (1 << 31)
    return _one_over_one_plus(normalized), integer_bits - headroom


def inverse_square_root(x: npt.ArrayLike) -> tuple[Int64Array, Int64Array]:
    """1 / sqrt(x) for integers in [1, 2**27).

    Returns:
        ``(inverse, right)``: the result is ``inverse * 2**-(31 + right)``; five Newton steps in Q3.28.
    """
    value = np.asarray(x, np.int64)
    bits = np.frexp(value.astype(np.float64))[1].astype(np.int64)
    pairs = (31 - bits) // 2 - 1
    # In [2**27, 2**29), then Q3.28 of half of that.
    scaled = (value << (2 * pairs)) >> 1
    half = rounding_shift_right(scaled, 1)
    root = np.full_like(value, 1 << 28)
    for _ in range(5):
        cube = _saturating_shift_left(rounding_doubling_high_mul(rounding_doubling_high_mul(root, root), root), 6)
        difference = rounding_doubling_high_mul((1 << 28) + (1 << 27), root) - rounding_doubling_high_mul(half, cube)
        root = _saturating_shift_left(difference, 3)
    inverse, right = rounding_doubling_high_mul(root, HALF_SQRT_2), 11 - pairs
    inverse, right = np.where(right < 0, inverse << np.maximum(-right, 0), inverse), np.maximum(right, 0)
    return np.where(value == 1, INT32_MAX, inverse), np.where(value == 1, 0, right)
