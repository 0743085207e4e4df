"""LOGISTIC cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.float_case import float_case
from tests.support.lookup_case import int16_case, lookup_case
from tests.support.op_cases import OpCase

OP = "LOGISTIC"


def cases() -> Iterator[OpCase]:
    """All cases."""
    for scale in (0.0005, 0.03, 0.1, 0.125, 1.0, 3.0):
        yield lookup_case(f"logistic_{scale}", OP, (scale, 1 / 256), (7, -128))
    yield lookup_case("logistic_positive", OP, (0.06, 1 / 256), (-128, -128))
    yield lookup_case("logistic_negative", OP, (0.06, 1 / 256), (127, -128))
    yield lookup_case("logistic_one", OP, (0.06, 1 / 256), (0, -128), shape=(1, 1))
    yield float_case("logistic_float", "LOGISTIC", scales=(0.2, 0.004), zero_points=(11, -128))
    for scale in (1.0 / 4096.0, 1.0 / 2048.0, 1.0 / 1024.0, 0.0003, 0.000025, 0.01, 2.0):
        yield int16_case(f"logistic_s16_{scale}", OP, (scale, 1.0 / 32768.0))
    yield int16_case("logistic_s16_ends", OP, (0.0003, 1.0 / 32768.0), stretch=6.0)
