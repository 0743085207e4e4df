"""SUM cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.reduce_case import int16_cases, reduce_case

OP = "SUM"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield reduce_case("sum_hw", OP, (1, 6, 5, 7), [1, 2])
    yield reduce_case("sum_hw_keep", OP, (1, 6, 5, 7), [1, 2], keep=True)
    yield reduce_case("sum_hw_same_scale", OP, (1, 8, 8, 3), [1, 2], scales=(0.04, 0.4), zero_points=(-128, -128))
    yield reduce_case("sum_hw_same_scale_offset", OP, (1, 5, 5, 3), [1, 2], scales=(0.04, 0.4), zero_points=(9, 9))
    yield reduce_case("sum_h", OP, (1, 6, 5, 7), [1])
    yield reduce_case("sum_w", OP, (1, 6, 5, 7), [2], keep=True)
    yield reduce_case("sum_channels", OP, (1, 6, 5, 7), [3])
    yield reduce_case("sum_negative_axis", OP, (1, 6, 7), [-1])
    yield reduce_case("sum_rank_2", OP, (1, 33), [1])
    yield reduce_case("sum_h_and_channels", OP, (1, 4, 3, 5), [1, 3])
    yield reduce_case("sum_ties", OP, (1, 2, 2, 4), [1, 2], scales=(0.5, 1.0), zero_points=(0, 0))
    yield reduce_case("sum_scale_up", OP, (1, 3, 3, 4), [1, 2], scales=(0.9, 0.1))
    yield reduce_case("sum_scale_down", OP, (1, 9, 9, 4), [1, 2], scales=(0.01, 0.9))
    yield reduce_case("sum_large", OP, (1, 40, 40, 2), [1, 2])
    yield reduce_case("sum_in_range", OP, (1, 6, 5, 7), [1, 2], scales=(0.01, 0.11))
    yield from int16_cases(OP, "sum", (0.004, 0.03))
