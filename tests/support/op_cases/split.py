"""SPLIT cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import split_cases
from tests.support.op_cases import OpCase
from tinyfleet_codegen.wire.ids import DType

OP = "SPLIT"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from split_cases("split_channels", OP, (1, 3, 4, 6), [(1, 3, 4, 2)] * 3, (3,), data_at=1, numSplits=3)
    yield from split_cases("split_rows", OP, (1, 4, 5), [(1, 2, 5)] * 2, (1,), data_at=1, numSplits=2)
    yield from split_cases("split_negative_axis", OP, (1, 4, 6), [(1, 4, 3)] * 2, (-1,), data_at=1, numSplits=2)
    yield from split_cases("split_one", OP, (1, 4, 6), [(1, 4, 6)], (1,), data_at=1, numSplits=1)
    yield from split_cases("split_s16", OP, (1, 3, 4, 6), [(1, 3, 4, 2)] * 3, (3,), data_at=1, numSplits=3, dtype=DType.INT16)
