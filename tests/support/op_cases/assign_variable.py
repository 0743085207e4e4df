"""ASSIGN_VARIABLE cases: a new value, an output, the old value of another variable."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.stream_case import accumulator_case, ring_case, shift_register_case
from tinyfleet_codegen.wire.ids import DType

OP = "ASSIGN_VARIABLE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield ring_case("assign_variable_ring", frames=1, channels=9)
    yield accumulator_case("assign_variable_output")
    yield shift_register_case("assign_variable_of_another")
    yield accumulator_case("assign_variable_s16", DType.INT16)
