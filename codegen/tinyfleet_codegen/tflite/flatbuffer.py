"""A bounds-checked view of FlatBuffers bytes.

The public FlatBuffers runtime for Python trusts offsets; a model file comes from outside, so here each access is checked
against the buffer and fails with :class:`FormatError`. Format: flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import FormatError

T = TypeVar("T")

_U8, _I8, _U16, _I32, _U32, _F32, _U64 = (struct.Struct("<" + c) for c in "BbHiIfQ")


@dataclass(frozen=True, slots=True)
class Table:
    """One table at ``position`` in ``data``. Fields are named by their index in the schema; absent fields give the default."""

    data: bytes
    position: int
    what: str

    def _unpack(self, layout: struct.Struct, position: int) -> int:
        if position < 0 or position + layout.size > len(self.data):
            raise FormatError(f"{self.what}: offset {position} points outside the file ({len(self.data)} bytes)")
        value: int = layout.unpack_from(self.data, position)[0]
        return value

    def _field(self, index: int) -> int | None:
        """Absolute position of field ``index``, or None when it is absent."""
        vtable = self.position - self._unpack(_I32, self.position)
        vtable_bytes = self._unpack(_U16, vtable)
        slot = 4 + 2 * index
        if slot + 2 > vtable_bytes:
            return None
        offset = self._unpack(_U16, vtable + slot)
        return self.position + offset if offset else None

    def _scalar(self, index: int, layout: struct.Struct, default: int) -> int:
        position = self._field(index)
        return default if position is None else self._unpack(layout, position)

    def u8(self, index: int, default: int = 0) -> int:
        """An unsigned byte, an enumeration or a bool."""
        return self._scalar(index, _U8, default)

    def i8(self, index: int, default: int = 0) -> int:
        """A signed byte."""
        return self._scalar(index, _I8, default)

    def i32(self, index: int, default: int = 0) -> int:
        """A signed 32-bit integer."""
        return self._scalar(index, _I32, default)

    def u32(self, index: int, default: int = 0) -> int:
        """An unsigned 32-bit integer."""
        return self._scalar(index, _U32, default)

    def u64(self, index: int, default: int = 0) -> int:
        """An unsigned 64-bit integer."""
        return self._scalar(index, _U64, default)

    def f32(self, index: int, default: float = 0.0) -> float:
        """A 32-bit float."""
        position = self._field(index)
        return default if position is None else float(self._unpack(_F32, position))

    def table(self, index: int, what: str) -> Table | None:
        """A sub-table, or None when it is absent."""
        position = self._field(index)
        if position is None:
            return None
        return Table(self.data, position + self._unpack(_U32, position), what)

    def _vector(self, index: int, item_bytes: int) -> tuple[int, int]:
        """Position of the first item and the number of items; (0, 0) when the vector is absent."""
        field = self._field(index)
        if field is None:
            return 0, 0
        position = field + self._unpack(_U32, field)
        count = self._unpack(_U32, position)
        if count * item_bytes > len(self.data) - position - 4:
            raise FormatError(f"{self.what}: a vector claims {count} items of {item_bytes} bytes, the file ends before")
        return position + 4, count

    def array(self, index: int, dtype: str) -> npt.NDArray[np.generic]:
        """A vector of scalars as a NumPy array of the little-endian ``dtype``, without a copy."""
        position, count = self._vector(index, np.dtype(dtype).itemsize)
        return np.frombuffer(self.data, dtype, count, position) if count else np.empty(0, dtype)

    def ints(self, index: int) -> tuple[int, ...]:
        """A vector of int32."""
        return tuple(int(v) for v in self.array(index, "<i4"))

    def string(self, index: int) -> str:
        """A string; bytes that are not UTF-8 are replaced."""
        position, count = self._vector(index, 1)
        return self.data[position : position + count].decode("utf-8", errors="replace")

    def tables(self, index: int, read: Callable[[Table], T], what: str) -> list[T]:
        """A vector of tables, each given to ``read``."""
        position, count = self._vector(index, 4)
        result = []
        for i in range(count):
            slot = position + 4 * i
            result.append(read(Table(self.data, slot + self._unpack(_U32, slot), f"{what} {i}")))
        return result


def root_table(data: bytes, identifier: bytes, what: str) -> Table:
    """The root table of a buffer with the given four-byte file identifier."""
    if len(data) < 8 or data[4:8] != identifier:
        raise FormatError(
            f"{what}: not a {identifier.decode()} file ({len(data)} bytes, identifier {data[4:8]!r})",
            hint="is it the right file? A .tflite holds the identifier TFL3 at byte 4",
        )
    return Table(data, _U32.unpack_from(data, 0)[0], what)
