"""SQRT cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "SQRT"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield float_case("sqrt_float", "SQRT", scales=(0.1, 0.03), zero_points=(-128, -128))
    yield float_case("sqrt_float_of_squares", "SQUARE", "SQRT")
    yield float_case("sqrt_float_of_sums", "SQUARE", ("ADD", 0.001), "SQRT", scales=(0.01, 0.012))
