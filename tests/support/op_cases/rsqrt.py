"""RSQRT cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import lookup_case
from tests.support.op_cases import OpCase

OP = "RSQRT"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield lookup_case("rsqrt", OP, (0.05, 0.02), (-128, -128))
    yield lookup_case("rsqrt_small_input", OP, (0.00005, 0.9), (-128, -128))
    yield lookup_case("rsqrt_large_input", OP, (3.0, 0.004), (-128, -100))
    yield lookup_case("rsqrt_saturating", OP, (0.001, 0.01), (-128, 0))
    yield lookup_case("rsqrt_usual", OP, (0.0123, 0.0321), (-128, -128), shape=(1, 1))
    yield float_case("rsqrt_float", ("ADD", 0.3), "RSQRT", scales=(0.02, 0.015), zero_points=(-128, -128))
