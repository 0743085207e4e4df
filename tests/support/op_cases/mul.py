"""MUL cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.binary_case import binary_case, broadcast_cases, int16_cases, precise_case, two_activations_case, with_itself_case
from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "MUL"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from broadcast_cases(OP, "mul")
    yield binary_case("mul_relu", OP, (1, 4, 5, 3), (1, 4, 5, 3), fusedActivationFunction=1)
    yield binary_case("mul_relu6", OP, (1, 4, 5, 3), (1, 4, 5, 3), fusedActivationFunction=3)
    yield binary_case("mul_ties", OP, (1, 16, 16, 1), (1, 16, 16, 1), scales=(0.25, 0.25, 1.0), zero_points=(0, 0, 0))
    yield binary_case("mul_saturating", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(0.5, 0.9, 0.02))
    yield binary_case("mul_scale_above_one", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(2.0, 3.0, 1.5))
    yield binary_case("mul_extreme_zero_points", OP, (1, 8, 8, 1), (1, 8, 8, 1), zero_points=(-128, 127, -128))
    yield two_activations_case("mul_activations", OP, (0.0313, 0.0717, 0.0559), (-3, 17, -40))
    yield with_itself_case("mul_squares", OP)
    yield precise_case("mul_precise", OP, (0.010961780324578285, 0.03325747326016426, 0.4573991000652313), -115)
    yield float_case("mul_float_swish", "LOGISTIC", ("MUL", (0, 1)), scales=(0.05, 0.04))
    yield float_case("mul_float_scalar", ("MUL", 0.37))
    yield from int16_cases(OP, "mul", (0.003, 0.0071, 0.5))
    yield from int16_cases(OP, "mul_saturating", (0.003, 0.0071, 0.0125), fusedActivationFunction=3)
    yield from int16_cases(OP, "mul_ties", (0.5, 0.5, 2.0))
