"""ABS cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import int16_case, lookup_case
from tests.support.op_cases import OpCase

OP = "ABS"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield lookup_case("abs", OP, (0.05, 0.05), (3, -3))
    yield lookup_case("abs_rescaled", OP, (0.05, 0.03), (-20, -128))
    yield lookup_case("abs_ties", OP, (0.5, 1.0), (0, 0))
    yield lookup_case("abs_saturating", OP, (0.9, 0.01), (-128, 0))
    yield lookup_case("abs_image", OP, (0.05, 0.05), (127, -128), shape=(1, 3, 5, 7))
    # Another way of computing the ratio of scales, in float32, would round other values.
    yield lookup_case("abs_precise", OP, (0.04513188451528549, 0.04798833280801773), (0, 0))
    yield float_case("abs_float", "ABS")
    yield int16_case("abs_s16", OP, (0.0005, 0.0005), stretch=4.0)
    yield int16_case("abs_s16_rescaled", OP, (0.0005, 0.0007), stretch=4.0)
    yield int16_case("abs_s16_ties", OP, (0.25, 0.5))
