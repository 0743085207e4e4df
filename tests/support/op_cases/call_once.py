"""CALL_ONCE cases: first values that are not zero."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.stream_case import accumulator_case, keyword_case, ring_case

OP = "CALL_ONCE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield ring_case("call_once_ring")
    yield accumulator_case("call_once_accumulator")
    yield keyword_case("call_once_keyword")
