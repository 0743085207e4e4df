"""PRELU cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.binary_case import binary_case
from tests.support.op_cases import OpCase

OP = "PRELU"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield binary_case("prelu_channels", OP, (1, 8, 5, 7), (1, 1, 7))
    yield binary_case("prelu_elements", OP, (1, 8, 5, 7), (8, 5, 7))
    yield binary_case("prelu_scalar", OP, (1, 8, 5, 7), (1,))
    yield binary_case("prelu_rank_2", OP, (1, 300), (300,), scales=(0.05, 0.004, 0.047), zero_points=(-6, 3, -100))
    yield binary_case("prelu_ties", OP, (1, 16, 16, 2), (1, 1, 2), scales=(0.5, 0.25, 1.0), zero_points=(0, 0, 0))
    yield binary_case("prelu_saturating", OP, (1, 8, 8, 2), (2,), scales=(0.9, 0.5, 0.02))
    yield binary_case("prelu_extreme_zero_points", OP, (1, 8, 8, 3), (3,), zero_points=(127, -128, -128))
