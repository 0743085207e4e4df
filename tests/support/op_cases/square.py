"""SQUARE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "SQUARE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield float_case("square_float", "SQUARE", scales=(0.05, 0.3), zero_points=(3, -128))
    yield float_case("square_float_ties", "SQUARE", scales=(0.5, 0.5), zero_points=(0, 0))
    yield float_case("square_float_saturating", "SQUARE", scales=(0.5, 0.5), zero_points=(-128, 0))
