"""HARD_SWISH cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import lookup_case
from tests.support.op_cases import OpCase

OP = "HARD_SWISH"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield lookup_case("hard_swish", OP, (0.05, 0.05), (3, -5))
    yield lookup_case("hard_swish_small", OP, (0.004, 0.003), (-20, 60))
    yield lookup_case("hard_swish_wide", OP, (0.9, 0.4), (0, 0))
    yield lookup_case("hard_swish_very_wide", OP, (9.0, 8.0), (-30, -100))
    yield lookup_case("hard_swish_ties", OP, (0.046875, 0.09375), (0, 0))
    yield lookup_case("hard_swish_saturating", OP, (0.05, 0.001), (-128, 0))
    yield lookup_case("hard_swish_usual", OP, (0.0471, 0.0249), (-4, -113), shape=(1, 8, 16, 16))
    # Another way of computing the ratio of scales, in float32, would round other values.
    yield lookup_case("hard_swish_precise", OP, (0.075504370033741, 0.1663530468940735), (0, 0))
    yield float_case("hard_swish_float", "HARD_SWISH")
