"""MINIMUM cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.binary_case import binary_case, broadcast_cases, int16_cases, two_activations_case
from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "MINIMUM"


def cases() -> Iterator[OpCase]:
    """All cases."""
    same = {"scales": (0.05, 0.05, 0.05), "zero_points": (4, 4, 4)}
    yield from broadcast_cases(OP, "minimum", **same)
    yield binary_case("minimum_extreme_zero_point", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(0.1, 0.1, 0.1), zero_points=(127, 127, 127))
    yield two_activations_case("minimum_activations", OP, (0.1, 0.1, 0.1), (-9, -9, -9))
    yield float_case("minimum_float", ("MINIMUM", 0.5))
    yield from int16_cases(OP, "minimum", (0.003, 0.003, 0.003))
