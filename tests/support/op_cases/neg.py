"""NEG cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "NEG"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield float_case("neg_float", "NEG")
    yield float_case("neg_float_rescaled", "NEG", scales=(0.05, 0.031), zero_points=(-100, 90))
    yield float_case("neg_float_ties", "NEG", scales=(0.5, 1.0), zero_points=(0, 0))
    yield float_case("neg_float_twice", "NEG", "NEG")
