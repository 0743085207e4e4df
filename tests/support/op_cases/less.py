"""LESS cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.comparison_case import comparison_cases
from tests.support.op_cases import OpCase

OP = "LESS"


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from comparison_cases(OP)
