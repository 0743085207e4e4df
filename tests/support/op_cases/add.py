"""ADD cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.binary_case import binary_case, broadcast_cases, precise_case, two_activations_case, with_itself_case
from tests.support.float_case import float_case
from tests.support.op_cases import OpCase

OP = "ADD"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from broadcast_cases(OP, "add")
    yield binary_case("add_relu", OP, (1, 4, 5, 3), (1, 4, 5, 3), fusedActivationFunction=1)
    yield binary_case("add_relu6", OP, (1, 4, 5, 3), (1, 4, 5, 3), fusedActivationFunction=3)
    yield binary_case("add_ties", OP, (1, 16, 16, 1), (1, 16, 16, 1), scales=(0.5, 0.5, 1.0), zero_points=(0, 0, 0))
    yield binary_case("add_saturating", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(0.5, 0.9, 0.02))
    yield binary_case("add_unequal_scales", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(1e-3, 4.0, 2.0))
    yield binary_case("add_extreme_zero_points", OP, (1, 8, 8, 1), (1, 8, 8, 1), zero_points=(-128, 127, -128))
    yield two_activations_case("add_activations", OP, (0.0313, 0.0717, 0.0559), (-3, 17, -40))
    yield with_itself_case("add_to_itself", OP)
    yield precise_case("add_precise", OP, (0.09992585331201553, 0.0687132179737091, 0.031105918809771538), -105)
    yield float_case("add_float_scalar", ("ADD", -1.25))
