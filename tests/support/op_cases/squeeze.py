"""SQUEEZE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase
from tinyfleet_codegen.wire.ids import DType

OP = "SQUEEZE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield move_case("squeeze", OP, (1, 1, 5, 1), (1, 5), squeezeDims=[1, 3])
    yield move_case("squeeze_negative", OP, (1, 5, 1), (1, 5), squeezeDims=[-1])
    yield move_case("squeeze_batch", OP, (1, 1, 4, 3), (1, 4, 3), squeezeDims=[0])
    yield move_case("squeeze_s16", OP, (1, 1, 5, 1), (1, 5), squeezeDims=[1, 3], dtype=DType.INT16)
