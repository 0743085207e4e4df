"""SLICE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase
from tinyfleet_codegen.wire.ids import DType

OP = "SLICE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield move_case("slice", OP, (1, 6, 5, 4), (1, 3, 2, 4), ([0, 2, 1, 0], [1, 3, 2, 4]))
    yield move_case("slice_to_the_end", OP, (1, 6, 5, 4), (1, 6, 2, 3), ([0, 0, 3, 1], [1, -1, 2, -1]))
    yield move_case("slice_rank_2", OP, (1, 20), (1, 7), ([0, 11], [1, 7]))
    yield move_case("slice_everything", OP, (1, 4, 3), (1, 4, 3), ([0, 0, 0], [-1, -1, -1]))
    yield move_case("slice_one_element", OP, (1, 4, 3), (1, 1, 1), ([0, 3, 2], [1, 1, 1]))
    yield move_case("slice_rank_5", OP, (1, 3, 4, 3, 2), (1, 2, 2, 2, 1), ([0, 1, 1, 1, 1], [1, 2, 2, 2, 1]))
    yield move_case("slice_s16", OP, (1, 6, 5, 4), (1, 6, 2, 3), ([0, 0, 3, 1], [1, -1, 2, -1]), dtype=DType.INT16)
