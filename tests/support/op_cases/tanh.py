"""TANH cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import int16_case, lookup_case
from tests.support.op_cases import OpCase

OP = "TANH"


def cases() -> Iterator[OpCase]:
    """All cases."""
    for scale in (0.0005, 0.03, 0.1, 0.125, 1.0, 3.0):
        yield lookup_case(f"tanh_{scale}", OP, (scale, 1 / 128), (-7, 0))
    yield lookup_case("tanh_positive", OP, (0.06, 1 / 128), (-128, 0))
    yield lookup_case("tanh_negative", OP, (0.06, 1 / 128), (127, 0))
    yield lookup_case("tanh_image", OP, (0.02, 1 / 128), (0, 0), shape=(1, 3, 5, 7))
    yield float_case("tanh_float", "TANH", scales=(0.04, 0.0078))
    for scale in (1.0 / 4096.0, 1.0 / 2048.0, 1.0 / 1024.0, 0.0003, 0.000025, 0.01, 2.0):
        yield int16_case(f"tanh_s16_{scale}", OP, (scale, 1.0 / 32768.0))
    yield int16_case("tanh_s16_ends", OP, (0.0003, 1.0 / 32768.0), stretch=6.0)
