"""EXPAND_DIMS cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase

OP = "EXPAND_DIMS"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield move_case("expand_dims", OP, (1, 5), (1, 1, 5), (1,))
    yield move_case("expand_dims_last", OP, (1, 5), (1, 5, 1), (-1,))
    yield move_case("expand_dims_first", OP, (1, 5), (1, 1, 5), ([0],))
