"""Log of events v1: what was done to a board, and what it did by itself. Little-endian; drawn in ``docs/spec/events.md``."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

ENTRY: tuple[tuple[str, str], ...] = (
    ("number", "I"),
    ("boot_id", "I"),
    ("uptime_ms", "I"),
    ("kind", "B"),
    ("trust", "B"),
    ("repeats", "H"),
    ("subject", "H"),
    ("detail", "B"),
    ("result", "b"),
    ("crc", "I"),
)
"""Name and struct code of each field, in order and without padding; ``crc`` is the CRC-32 of all before it."""

_ENTRY = struct.Struct("<" + "".join(code for _, code in ENTRY))
ENTRY_BYTES = _ENTRY.size
FILE = "events"
"""Its name in SMP group 8 (fs)."""


class EventKind(IntEnum):
    """What an entry is about, and what its ``subject``, ``detail`` and ``result`` mean."""

    BOOT = 1  # why (BootWhy); of a crash: its CrashWhy; resets since power-on, at most 127
    REQUEST = 2  # group; command; its error: negative of the group, positive of the protocol, 0: done
    MODEL = 3  # place (ModelPlace) << 8 | phase (ModelPhase); generation; status (Status)


class BootWhy(IntEnum):
    """Why a board started."""

    POWER_ON = 0
    RESET = 1  # asked for, or by a pin
    CRASH = 2


class Trust(IntEnum):
    """Where a request came from, as the board saw it."""

    WIRE = 0
    RADIO = 1
    SESSION = 2


@dataclass(frozen=True, slots=True)
class Event:
    """One entry.

    Attributes:
        number: Rises by one from entry to entry; begins anew when the board loses its power.
        boot_id: 0 where the board has no identity.
        uptime_ms: Since that boot; of the last one when it happened several times.
        kind: A number that this host does not know stays a number.
        trust: Of a request; else 0.
        repeats: How often the same happened again, one right after the other; 65535: at least.
    """

    number: int
    boot_id: int
    uptime_ms: int
    kind: int
    trust: int
    repeats: int
    subject: int
    detail: int
    result: int

    def encode(self) -> bytes:
        """Bytes of this entry as the device keeps them."""
        packed = _ENTRY.pack(*(getattr(self, name) for name, _ in ENTRY[:-1]), 0)
        return packed[:-4] + struct.pack("<I", zlib.crc32(packed[:-4]))


def decode_events(data: bytes) -> list[Event]:
    """The intact entries of a log, oldest first, in whatever order they lie in ``data``."""
    events = []
    for at in range(0, len(data) - ENTRY_BYTES + 1, ENTRY_BYTES):
        entry = data[at : at + ENTRY_BYTES]
        *values, crc = _ENTRY.unpack(entry)
        if crc == zlib.crc32(entry[:-4]):
            events.append(Event(*values))
    return sorted(events, key=lambda event: event.number)
