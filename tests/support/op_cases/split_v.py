"""SPLIT_V cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import split_cases
from tests.support.op_cases import OpCase

OP = "SPLIT_V"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from split_cases("split_v_channels", OP, (1, 3, 2, 7), [(1, 3, 2, 1), (1, 3, 2, 4), (1, 3, 2, 2)], ([1, 4, 2], 3), numSplits=3)
    yield from split_cases("split_v_rows", OP, (1, 6, 5), [(1, 5, 5), (1, 1, 5)], ([5, 1], 1), numSplits=2)
    yield from split_cases("split_v_one", OP, (1, 6, 5), [(1, 6, 5)], ([5], -1), numSplits=1)
