"""AVERAGE_POOL_2D cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.pool_case import pool_case, pool_cases

OP = "AVERAGE_POOL_2D"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from pool_cases(OP, "average_pool")
    yield pool_case("average_pool_words_global", OP, size=(25, 5, 8), kernel=(25, 5))
    yield pool_case("average_pool_words_same", OP, size=(7, 6, 12), kernel=(3, 2), same=True)
    yield pool_case("average_pool_words_large", OP, size=(16, 16, 4), kernel=(16, 16), stride=(1, 1))
    yield pool_case("average_pool_words_relu6", OP, size=(6, 6, 4), activation=3, zero_point=20)
