"""REDUCE_MAX cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.reduce_case import reduce_case

OP = "REDUCE_MAX"


def cases() -> Iterator[OpCase]:
    """All cases."""
    same = {"scales": (0.1, 0.1), "zero_points": (-4, -4)}
    yield reduce_case("reduce_max_hw", OP, (1, 6, 5, 7), [1, 2], **same)
    yield reduce_case("reduce_max_hw_keep", OP, (1, 6, 5, 7), [1, 2], keep=True, **same)
    yield reduce_case("reduce_max_channels", OP, (1, 6, 5, 7), [-1], **same)
    yield reduce_case("reduce_max_rows", OP, (1, 9, 4), [1], keep=True, **same)
    yield reduce_case("reduce_max_rank_2", OP, (1, 33), [1], keep=True, **same)
    yield reduce_case("reduce_max_h_and_channels", OP, (1, 4, 3, 5), [1, 3], **same)
