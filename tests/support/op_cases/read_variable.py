"""READ_VARIABLE cases: before and after an assignment, and of what never changes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.stream_case import accumulator_case, constant_case, ring_case, swap_case
from tinyfleet_codegen.wire.ids import DType

OP = "READ_VARIABLE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield ring_case("read_variable_ring", frames=7, channels=3)
    yield swap_case("read_variable_after_assignment")
    yield constant_case("read_variable_constant")
    yield accumulator_case("read_variable_s16", DType.INT16)
