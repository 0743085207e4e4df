"""BATCH_TO_SPACE_ND cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.block_case import block_case
from tests.support.op_cases import OpCase

OP = "BATCH_TO_SPACE_ND"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield block_case("batch_to_space_2x2", OP, (4, 2, 3, 3), (1, 4, 6, 3), [2, 2], [[0, 0], [0, 0]])
    yield block_case("batch_to_space_cropped", OP, (4, 4, 4, 2), (1, 5, 7, 2), [2, 2], [[1, 2], [0, 1]])
    yield block_case("batch_to_space_3x1", OP, (3, 2, 4, 3), (1, 6, 4, 3), [3, 1], [[0, 0], [0, 0]])
    yield block_case("batch_to_space_rank_3", OP, (2, 5, 4), (1, 9, 4), [2], [[1, 0]])
    yield block_case("batch_to_space_one_pixel", OP, (9, 1, 1, 2), (1, 1, 1, 2), [3, 3], [[2, 0], [1, 1]])
