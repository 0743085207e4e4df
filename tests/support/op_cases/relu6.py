"""RELU6 cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import int16_case, lookup_case
from tests.support.op_cases import OpCase

OP = "RELU6"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield lookup_case("relu6", OP, (0.05, 0.05), (3, 3))
    yield lookup_case("relu6_low_zero_point", OP, (0.03, 0.03), (-128, -128))
    yield lookup_case("relu6_beyond_127", OP, (0.02, 0.02), (100, 100))
    yield lookup_case("relu6_tie", OP, (4.0, 4.0), (-3, -3))
    yield lookup_case("relu6_image", OP, (0.1, 0.1), (-60, -60), shape=(1, 3, 5, 7))
    yield float_case("relu6_float", "RELU6")
    yield int16_case("relu6_s16", OP, (0.0005, 0.0005))
    yield int16_case("relu6_s16_beyond", OP, (0.0001, 0.0001), stretch=5.0)
