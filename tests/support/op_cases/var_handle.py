"""VAR_HANDLE cases: one and several variables."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.stream_case import ring_case, shift_register_case, swap_case

OP = "VAR_HANDLE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield ring_case("var_handle_without_initialisation", initial=False)
    yield shift_register_case("var_handle_three")
    yield swap_case("var_handle_two")
