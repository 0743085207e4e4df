"""SPACE_TO_BATCH_ND cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.block_case import block_case
from tests.support.op_cases import OpCase

OP = "SPACE_TO_BATCH_ND"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield block_case("space_to_batch_2x2", OP, (1, 4, 6, 3), (4, 2, 3, 3), [2, 2], [[0, 0], [0, 0]])
    yield block_case("space_to_batch_3x1", OP, (1, 6, 4, 3), (3, 2, 4, 3), [3, 1], [[0, 0], [0, 0]])
    yield block_case("space_to_batch_rank_3", OP, (1, 9, 4), (3, 3, 4), [3], [[0, 0]])
