"""TRANSPOSE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase
from tinyfleet_codegen.wire.ids import DType

OP = "TRANSPOSE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield move_case("transpose_hw", OP, (1, 3, 4, 5), (1, 4, 3, 5), ([0, 2, 1, 3],))
    yield move_case("transpose_to_channels_first", OP, (1, 3, 4, 5), (1, 5, 3, 4), ([0, 3, 1, 2],))
    yield move_case("transpose_reversed", OP, (1, 3, 4, 5), (1, 5, 4, 3), ([0, 3, 2, 1],))
    yield move_case("transpose_rank_3", OP, (1, 7, 6), (1, 6, 7), ([0, 2, 1],))
    yield move_case("transpose_rank_5", OP, (1, 2, 3, 4, 5), (1, 5, 3, 2, 4), ([0, 4, 2, 1, 3],))
    yield move_case("transpose_nothing", OP, (1, 3, 4), (1, 3, 4), ([0, 1, 2],))
    yield move_case("transpose_only_ones", OP, (1, 1, 6, 1), (1, 6, 1, 1), ([0, 2, 1, 3],))
    yield move_case("transpose_rank_2", OP, (1, 9), (1, 9), ([0, 1],))
    yield move_case("transpose_s16", OP, (1, 3, 4, 5), (1, 5, 3, 4), ([0, 3, 1, 2],), dtype=DType.INT16)
    yield move_case("transpose_s16_reversed", OP, (1, 3, 4, 5), (1, 5, 4, 3), ([0, 3, 2, 1],), dtype=DType.INT16)
