"""ASSIGN_VARIABLE cases: a new value, an output, the old value of another variable."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.stream_case import accumulator_case, cleared_case, ring_case, shift_register_case
from tinyfleet_codegen.wire.ids import DType

OP = "ASSIGN_VARIABLE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield ring_case("assign_variable_ring", frames=1, channels=9)
    yield accumulator_case("assign_variable_output")
    yield shift_register_case("assign_variable_of_another")
    # The constant was folded into the state, which then had no next value: found by damaged model files.
    yield cleared_case("assign_variable_constant")
    yield accumulator_case("assign_variable_s16", DType.INT16)
