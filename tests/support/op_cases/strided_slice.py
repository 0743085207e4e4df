"""STRIDED_SLICE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase
from tinyfleet_codegen.wire.ids import DType

OP = "STRIDED_SLICE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield move_case("strided_slice", OP, (1, 6, 5, 4), (1, 3, 2, 4), ([0, 1, 1, 0], [1, 4, 3, 4], [1, 1, 1, 1]))
    yield move_case("strided_slice_strides", OP, (1, 9, 5, 4), (1, 3, 3, 2), ([0, 1, 0, 1], [1, 8, 5, 4], [1, 3, 2, 2]))
    yield move_case("strided_slice_backwards", OP, (1, 6, 5), (1, 3, 5), ([0, 5, 4], [1, -7, -6], [1, -2, -1]))
    yield move_case(
        "strided_slice_masks", OP, (1, 6, 5, 4), (1, 4, 5, 3), ([9, 2, 3, 9], [1, 9, 0, 3], [1, 1, 1, 1]), beginMask=13, endMask=6
    )
    yield move_case("strided_slice_negative", OP, (1, 8, 3), (1, 3, 2), ([0, -5, -2], [1, -2, 3], [1, 1, 1]))
    yield move_case("strided_slice_shrink", OP, (1, 6, 5), (1, 5), ([0, -1, 0], [1, 0, 5], [1, 1, 1]), shrinkAxisMask=2)
    yield move_case("strided_slice_shrink_two", OP, (1, 6, 5, 4), (1, 5), ([0, 3, 0, 2], [1, 4, 5, 3], [1, 1, 1, 1]), shrinkAxisMask=10)
    yield move_case(
        "strided_slice_last_step", OP, (1, 10, 8), (1, 8), ([0, -1, 0], [0, 0, 0], [1, 1, 1]), beginMask=5, endMask=5, shrinkAxisMask=2
    )
    yield move_case("strided_slice_beyond_the_end", OP, (1, 7), (1, 4), ([0, 3], [9, 99], [1, 1]))
    yield move_case("strided_slice_rank_1_axis", OP, (1, 12), (1, 4), ([0, 0], [1, 12], [1, 3]))
    yield move_case("strided_slice_s16", OP, (1, 9, 5, 4), (1, 3, 3, 2), ([0, 1, 0, 1], [1, 8, 5, 4], [1, 3, 2, 2]), dtype=DType.INT16)
    yield move_case("strided_slice_s16_backwards", OP, (1, 6, 5), (1, 3, 5), ([0, 5, 4], [1, -7, -6], [1, -2, -1]), dtype=DType.INT16)
