"""LOG cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "LOG"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield float_case("log_float", ("ADD", 1.5), "LOG", scales=(0.01, 0.02), zero_points=(0, 0))
    yield float_case("log_float_of_small", ("ADD", 0.0001), "LOG", scales=(0.01, 0.06), zero_points=(-128, 100))
    yield float_case("log_float_of_exp", "EXP", ("ADD", 1.0), "LOG", scales=(0.05, 0.05))
