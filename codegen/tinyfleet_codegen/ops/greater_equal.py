"""GREATER_EQUAL: a >= b, broadcast, rank up to 4."""

from __future__ import annotations

from tinyfleet_codegen.comparison import ComparisonOp


class GreaterEqual(ComparisonOp):
    """Int8 of scales below 1 or int32 inputs that broadcast to the bool output's shape, rank <= 4; either may be a constant."""

    name = "GREATER_EQUAL"
    is_true = (False, True, True)
