"""VAR_HANDLE: names a variable; gone once the model is read."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfleet_codegen.op import ReadOnlyOp
from tinyfleet_codegen.tflite.flatbuffer import Table


@dataclass(frozen=True, slots=True)
class VarHandleAttrs:
    """Options of VAR_HANDLE: container and name as one key."""

    variable: str


class VarHandle(ReadOnlyOp):
    """A variable by its container and name, for READ_VARIABLE and ASSIGN_VARIABLE."""

    name = "VAR_HANDLE"
    input_count = (0, 0)

    def read_attrs(self, options: Table | None) -> VarHandleAttrs:
        return VarHandleAttrs("/" if options is None else f"{options.string(0)}/{options.string(1)}")
