"""SQUARED_DIFFERENCE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.binary_case import binary_case, broadcast_cases, int16_cases, two_activations_case, with_itself_case
from tests.support.op_cases import OpCase

OP = "SQUARED_DIFFERENCE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from broadcast_cases(OP, "squared_difference")
    yield binary_case("squared_difference_ties", OP, (1, 16, 16, 1), (1, 16, 16, 1), scales=(0.5, 0.5, 8.0), zero_points=(0, 0, 0))
    yield binary_case("squared_difference_saturating", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(0.5, 0.9, 0.02))
    yield binary_case("squared_difference_large", OP, (1, 16, 16, 1), (1, 16, 16, 1), scales=(0.1, 0.1, 2.6), zero_points=(-128, 127, -128))
    yield two_activations_case("squared_difference_activations", OP, (0.0313, 0.0717, 0.0559), (-3, 17, -128))
    yield with_itself_case("squared_difference_to_itself", OP)
    yield from int16_cases(OP, "squared_difference", (0.003, 0.0071, 3.0))
