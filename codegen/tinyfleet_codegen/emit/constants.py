"""What the constants of generated code are for, by the name that their op or kernel gave them."""

from __future__ import annotations

import re
from enum import StrEnum


class ConstantKind(StrEnum):
    """What grows with what."""

    WEIGHTS = "weights"
    """Packed weights, also with their biases and scales in one stream."""
    TABLES = "tables"
    """Biases, multipliers, shifts and what else there is per channel."""
    CODE = "code"
    """Settings of a call and tables of a function's values, which grow with nothing."""


_WEIGHTS = ("weights", "stream", "records")
_CODE = ("params", "scale", "table")


def constant_kind(name: str) -> ConstantKind:
    """The kind of a constant, named as in ``CallPrinter.constant``, ``table`` and ``params``."""
    # Constants of one name, told apart by a number.
    name = re.sub(r"_\d+$", "", name)
    if name in _WEIGHTS or name.startswith("tensor"):
        return ConstantKind.WEIGHTS
    return ConstantKind.CODE if name in _CODE or name.startswith("params") else ConstantKind.TABLES
