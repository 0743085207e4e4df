"""CALL_ONCE: gives variables their first values; run when the model is read."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfleet_codegen.op import ReadOnlyOp
from tinyfleet_codegen.tflite.flatbuffer import Table


@dataclass(frozen=True, slots=True)
class CallOnceAttrs:
    """Options of CALL_ONCE."""

    subgraph: int


class CallOnce(ReadOnlyOp):
    """A subgraph of constants and ASSIGN_VARIABLE; it runs when the model is read and its results are the reset values."""

    name = "CALL_ONCE"
    input_count = (0, 0)
    output_count = (0, 0)

    def read_attrs(self, options: Table | None) -> CallOnceAttrs:
        return CallOnceAttrs(0 if options is None else options.i32(0))
