"""MAX_POOL_2D cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.pool_case import pool_cases

OP = "MAX_POOL_2D"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from pool_cases(OP, "max_pool")
