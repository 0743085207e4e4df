"""RELU cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import int16_case, lookup_case
from tests.support.op_cases import OpCase

OP = "RELU"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield lookup_case("relu", OP, (0.05, 0.05), (3, 3))
    yield lookup_case("relu_rescaled", OP, (0.05, 0.031), (-20, -128))
    yield lookup_case("relu_ties", OP, (0.5, 1.0), (0, 0))
    yield lookup_case("relu_saturating", OP, (0.9, 0.01), (-128, 120))
    yield lookup_case("relu_all_negative", OP, (0.05, 0.07), (127, -5))
    yield lookup_case("relu_image", OP, (0.05, 0.05), (3, -128), shape=(1, 3, 5, 7))
    # Another way of computing the ratio of scales, in float32, would round other values.
    yield lookup_case("relu_precise", OP, (0.04513188451528549, 0.04798833280801773), (0, 0))
    yield float_case("relu_float", "RELU")
    yield int16_case("relu_s16", OP, (0.0005, 0.0005))
    yield int16_case("relu_s16_rescaled", OP, (0.0005, 0.00031), stretch=3.0)
    yield int16_case("relu_s16_ties", OP, (0.25, 0.5))
