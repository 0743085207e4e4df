"""SUB cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.binary_case import binary_case, broadcast_cases, int16_cases, precise_case, two_activations_case, with_itself_case
from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "SUB"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from broadcast_cases(OP, "sub")
    yield binary_case("sub_relu", OP, (1, 4, 5, 3), (1, 4, 5, 3), fusedActivationFunction=1)
    yield binary_case("sub_relu6", OP, (1, 4, 5, 3), (1, 4, 5, 3), fusedActivationFunction=3)
    yield binary_case("sub_ties", OP, (1, 16, 16, 1), (1, 16, 16, 1), scales=(0.5, 0.5, 1.0), zero_points=(0, 0, 0))
    yield binary_case("sub_saturating", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(0.5, 0.9, 0.02))
    yield binary_case("sub_unequal_scales", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(1e-3, 4.0, 2.0))
    yield binary_case("sub_extreme_zero_points", OP, (1, 8, 8, 1), (1, 8, 8, 1), zero_points=(-128, 127, -128))
    yield two_activations_case("sub_activations", OP, (0.0313, 0.0717, 0.0559), (-3, 17, -40))
    yield with_itself_case("sub_to_itself", OP)
    yield precise_case("sub_precise", OP, (0.015153273940086365, 0.010247068479657173, 0.027564356103539467), -117)
    yield float_case("sub_float_scalar", ("SUB", 0.4))
    yield float_case("sub_float_two", "RELU", "NEG", ("SUB", (1, 2)), scales=(0.05, 0.1))
    yield from int16_cases(OP, "sub", (0.003, 0.0071, 0.005))
    yield from int16_cases(OP, "sub_saturating", (0.003, 0.0071, 0.000125), fusedActivationFunction=3)
    yield from int16_cases(OP, "sub_ties", (0.25, 0.5, 1.0))
