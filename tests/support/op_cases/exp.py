"""EXP cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "EXP"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield float_case("exp_float", "EXP", scales=(0.02, 0.1), zero_points=(0, -128))
    yield float_case("exp_float_saturating", "EXP", scales=(0.05, 0.1))
    yield float_case("exp_float_of_negative", "NEG", "EXP", scales=(0.04, 0.05), zero_points=(-128, -128))
