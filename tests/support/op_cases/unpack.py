"""UNPACK cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import split_cases
from tests.support.op_cases import OpCase
from tinyfleet_codegen.wire.ids import DType

OP = "UNPACK"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from split_cases("unpack_rows", OP, (1, 3, 5), [(1, 5)] * 3, (), num=3, axis=1)
    yield from split_cases("unpack_channels", OP, (1, 3, 4, 2), [(1, 3, 4)] * 2, (), num=2, axis=-1)
    yield from split_cases("unpack_one", OP, (1, 1, 5), [(1, 5)], (), num=1, axis=1)
    yield from split_cases("unpack_s16", OP, (1, 3, 5), [(1, 5)] * 3, (), num=3, axis=1, dtype=DType.INT16)
