"""LEAKY_RELU cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import int16_case, lookup_case
from tests.support.op_cases import OpCase

OP = "LEAKY_RELU"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield lookup_case("leaky_relu", OP, (0.05, 0.05), (3, 3), alpha=0.3)
    yield lookup_case("leaky_relu_rescaled", OP, (0.05, 0.031), (-20, 60), alpha=0.01)
    yield lookup_case("leaky_relu_ties", OP, (0.5, 1.0), (0, 0), alpha=0.5)
    yield lookup_case("leaky_relu_saturating", OP, (0.9, 0.01), (-8, 0), alpha=0.9)
    yield lookup_case("leaky_relu_steep", OP, (0.05, 0.2), (0, 10), alpha=2.5)
    yield lookup_case("leaky_relu_falling", OP, (0.05, 0.05), (11, -7), alpha=-0.2)
    yield lookup_case("leaky_relu_zero_alpha", OP, (0.05, 0.05), (11, -7), alpha=0.0)
    # Another way of computing the ratio of scales, in float32, would round other values.
    yield lookup_case("leaky_relu_precise", OP, (0.04074687510728836, 0.04912562668323517), (0, 0), alpha=0.8494206666946411)
    yield float_case("leaky_relu_float", ("LEAKY_RELU", {"alpha": 0.3}))
    yield int16_case("leaky_relu_s16", OP, (0.0005, 0.0005), alpha=0.1)
    yield int16_case("leaky_relu_s16_rescaled", OP, (0.0005, 0.00031), stretch=3.0, alpha=0.3)
    yield int16_case("leaky_relu_s16_negative", OP, (0.0005, 0.0007), stretch=3.0, alpha=-0.7)
    yield int16_case("leaky_relu_s16_ties", OP, (0.25, 0.5), alpha=0.5)
