"""SQUEEZE: the same bytes without axes of size 1; costs nothing."""

from __future__ import annotations

from tinyfleet_codegen.movement import ViewOp


class Squeeze(ViewOp):
    """Input of any shape, output of as many elements; the output tensor tells which axes are left."""

    name = "SQUEEZE"
    input_count = (1, 1)
