"""Keys and values in a board's flash, v1: two areas, each a log; drawn in ``docs/spec/settings.md``.

The firmware writes (``lib/settings``); here they are read from the bytes of an NVM file.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

MAGIC = 0x53465954  # "TYFS"
VERSION = 1
KIND_SET = 1
KIND_DELETE = 2
MAX_KEY_BYTES = 32
MAX_VALUE_BYTES = 256

_HEADER = struct.Struct("<IHHI")
_RECORD = struct.Struct("<BBH")
HEADER_BYTES = _HEADER.size + 4
RECORD_HEADER_BYTES = _RECORD.size + 4


@dataclass(frozen=True, slots=True)
class SettingsLog:
    """One area that has a valid header.

    Attributes:
        generation: The area with the larger one is in force.
        values: Keys and values, the later record over the earlier.
        is_clean: No record is damaged, and what follows the last one is erased: the next record goes there.
    """

    generation: int
    values: dict[bytes, bytes]
    is_clean: bool


def read_log(area: bytes, unit_bytes: int) -> SettingsLog | None:
    """Read one area; None when its header is not valid, or of a version that this code cannot read."""
    head = area[: _HEADER.size]
    if len(area) < HEADER_BYTES or zlib.crc32(head) != int.from_bytes(area[_HEADER.size : HEADER_BYTES], "little"):
        return None
    magic, version, _, generation = _HEADER.unpack(head)
    if (magic, version) != (MAGIC, VERSION):
        return None
    values: dict[bytes, bytes] = {}
    is_clean = True
    at = _whole_units(HEADER_BYTES, unit_bytes)
    while at + RECORD_HEADER_BYTES <= len(area):
        kind, key_bytes, value_bytes = _RECORD.unpack_from(area, at)
        end = at + RECORD_HEADER_BYTES + key_bytes + value_bytes
        makes_sense = 1 <= key_bytes <= MAX_KEY_BYTES and value_bytes <= (MAX_VALUE_BYTES if kind == KIND_SET else 0)
        if kind not in (KIND_SET, KIND_DELETE) or not makes_sense or end > len(area):
            break
        text = area[at + RECORD_HEADER_BYTES : end]
        crc = zlib.crc32(text, zlib.crc32(struct.pack("<I", generation) + area[at : at + _RECORD.size]))
        if crc != int.from_bytes(area[at + _RECORD.size : at + RECORD_HEADER_BYTES], "little"):
            is_clean = False
        elif kind == KIND_SET:
            values[text[:key_bytes]] = text[key_bytes:]
        else:
            values.pop(text[:key_bytes], None)
        at = _whole_units(end, unit_bytes)
    return SettingsLog(generation, values, is_clean and area[at:] == b"\xff" * (len(area) - at))


def read_settings(areas: tuple[bytes, bytes], unit_bytes: int) -> dict[bytes, bytes]:
    """Keys and values that a board has which starts with these two areas."""
    logs = [log for area in areas if (log := read_log(area, unit_bytes)) is not None]
    return max(logs, key=lambda log: log.generation).values if logs else {}


def _whole_units(count: int, unit_bytes: int) -> int:
    return -(-count // unit_bytes) * unit_bytes
