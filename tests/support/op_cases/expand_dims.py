"""EXPAND_DIMS cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase
from tinyfleet_codegen.wire.ids import DType

OP = "EXPAND_DIMS"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield move_case("expand_dims", OP, (1, 5), (1, 1, 5), (1,))
    yield move_case("expand_dims_last", OP, (1, 5), (1, 5, 1), (-1,))
    yield move_case("expand_dims_first", OP, (1, 5), (1, 1, 5), ([0],))
    yield move_case("expand_dims_s16", OP, (1, 5), (1, 1, 5), (1,), dtype=DType.INT16)
