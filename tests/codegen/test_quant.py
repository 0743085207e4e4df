"""Fixed-point arithmetic against exact rationals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.fixed_point import exp_on_negative_values, reciprocal
from tinyfleet_codegen.quant import (
    quantize_multiplier,
    requantize,
    round_half_away,
    rounding_doubling_high_mul,
    rounding_shift_right,
)

INT32 = st.integers(-(2**31), 2**31 - 1)


def nearest_away(value: Fraction) -> int:
    """Nearest integer, ties away from zero."""
    magnitude = math.floor(abs(value) + Fraction(1, 2))
    return magnitude if value >= 0 else -magnitude


@given(INT32, INT32)
def test_high_mul_is_the_nearest_integer_with_ties_up(a: int, b: int) -> None:
    exact = Fraction(a * b, 2**31)
    # The oracle adds 2**30 (or 1 - 2**30) and truncates: a tie goes away from zero when positive, towards zero when negative.
    expected = math.floor(exact + Fraction(1, 2)) if exact >= 0 else -math.floor(-exact + Fraction(1, 2) - Fraction(1, 2**31))
    assert int(rounding_doubling_high_mul(a, b)) == (2**31 - 1 if a == b == -(2**31) else expected)


@given(INT32, st.integers(0, 31))
def test_shift_right_is_the_nearest_integer_with_ties_away_from_zero(x: int, exponent: int) -> None:
    assert int(rounding_shift_right(x, exponent)) == nearest_away(Fraction(x, 2**exponent))


@given(st.floats(1e-9, 2.0**29))
def test_multiplier_and_shift_stand_for_the_scale(scale: float) -> None:
    multiplier, shift = quantize_multiplier(scale)
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(scale)) <= Fraction(2) ** (shift - 32)


def test_multiplier_rounds_up_into_the_next_power() -> None:
    assert quantize_multiplier(1.0 - 2.0**-53) == (2**30, 1)


@pytest.mark.parametrize("scale", [-1.0, float("nan"), float("inf"), 2.0**31])
def test_impossible_scale_is_refused_with_its_value(scale: float) -> None:
    with pytest.raises(QuantError, match=str(scale)):
        quantize_multiplier(scale)


def test_scale_too_small_becomes_zero() -> None:
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(2.0**-40) == (0, 0)


@given(st.integers(-(2**20), 2**20), st.floats(1e-4, 100.0))
def test_requantize_is_within_one_of_the_real_product(x: int, scale: float) -> None:
    assert abs(int(requantize(x, *quantize_multiplier(scale))) - x * scale) <= 1.0


def test_round_half_away() -> None:
    assert [round_half_away(v) for v in (0.5, -0.5, 1.49, -1.5, 2.5)] == [1, -1, 1, -2, 3]


@given(st.integers(-(2**31), 0))
def test_exponential_is_close_to_the_real_one(raw: int) -> None:
    assert abs(int(exp_on_negative_values(raw, 5)) / 2**31 - math.exp(raw / 2**26)) < 1e-6


@given(st.integers(2**19, 511 * 2**19))
def test_reciprocal_is_close_to_the_real_one(raw: int) -> None:
    inverse, bits = reciprocal(np.array([raw]), 12)
    assert abs(int(inverse[0]) / 2**31 * 2.0 ** -int(bits[0]) * (raw / 2**19) - 1.0) < 1e-6
