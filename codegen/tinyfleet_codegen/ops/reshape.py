"""RESHAPE: the same bytes under another shape; costs nothing."""

from __future__ import annotations

from tinyfleet_codegen.movement import ViewOp


class Reshape(ViewOp):
    """Input of any shape, output of as many elements. The shape input, if any, is ignored: the output tensor has it."""

    name = "RESHAPE"
    input_count = (1, 2)
