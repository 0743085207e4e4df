"""GATHER cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase

OP = "GATHER"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield move_case("gather_channels", OP, (1, 4, 5), (1, 4, 3), ([4, 0, 2],), axis=2)
    yield move_case("gather_rows", OP, (1, 4, 3, 2), (1, 6, 3, 2), ([3, 3, 0, 1, 2, 0],), axis=1)
    yield move_case("gather_one", OP, (1, 4, 5), (1, 5), (2,), axis=1)
    yield move_case("gather_negative_axis", OP, (1, 7), (1, 2), ([6, 1],), axis=-1)
