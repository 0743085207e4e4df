"""ELU cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import lookup_case
from tests.support.op_cases import OpCase

OP = "ELU"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield lookup_case("elu", OP, (0.05, 0.05), (3, 3))
    yield lookup_case("elu_rescaled", OP, (0.031, 0.027), (20, -100))
    yield lookup_case("elu_ties", OP, (0.5, 1.0), (0, 0))
    yield lookup_case("elu_steep", OP, (2.0, 0.03), (-8, 0))
    yield lookup_case("elu_image", OP, (0.05, 0.05), (0, -90), shape=(1, 3, 5, 7))
    yield float_case("elu_float", "ELU")
    yield float_case("elu_float_wide", "ELU", scales=(0.3, 0.1), zero_points=(-20, -118))
