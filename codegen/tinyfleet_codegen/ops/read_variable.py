"""READ_VARIABLE: the value that a variable holds; gone once the model is read."""

from __future__ import annotations

from tinyfleet_codegen.op import ReadOnlyOp


class ReadVariable(ReadOnlyOp):
    """A variable of any shape and type; costs nothing."""

    name = "READ_VARIABLE"
    has_int16 = True
    input_count = (1, 1)
