"""What the bytes of a flash say, read by code that shares only the layouts with the firmware."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple

from tinyfleet_codegen.wire import image as wire

PAGE_BYTES, UNIT_BYTES = 4096, 8
NOT_SET = b"\xff" * wire.TRAILER_FLAG_BYTES
SET = bytes([wire.TRAILER_FLAG_SET]).ljust(wire.TRAILER_FLAG_BYTES, b"\xff")


@dataclass(frozen=True, slots=True)
class Trailer:
    """The last page of a slot."""

    is_requested: bool
    tried: bytes
    confirmed: bytes


def read_trailer(page: bytes) -> Trailer:
    """Read it."""
    order, complement = wire.TRAILER_ORDER.unpack(page[:8])
    tried, confirmed = (
        page[len(page) - at : len(page) - at + wire.TRAILER_FLAG_BYTES]
        for at in (wire.TRAILER_TRIED_FROM_END, wire.TRAILER_CONFIRMED_FROM_END)
    )
    is_requested = page[-wire.TRAILER_MAGIC_FROM_END :] == wire.TRAILER_MAGIC and order == complement ^ 0xFFFFFFFF
    return Trailer(is_requested, tried, confirmed)


def confirmed_trailer(order: int) -> bytes:
    """Of an image that is there to stay."""
    page = bytearray(b"\xff" * PAGE_BYTES)
    page[:8] = wire.TRAILER_ORDER.pack(order, order ^ 0xFFFFFFFF)
    page[-wire.TRAILER_MAGIC_FROM_END :] = wire.TRAILER_MAGIC
    for from_end in (wire.TRAILER_TRIED_FROM_END, wire.TRAILER_CONFIRMED_FROM_END):
        page[-from_end] = wire.TRAILER_FLAG_SET
    return bytes(page)


class Security(NamedTuple):
    """A record of the security log."""

    counter: int = 0
    key: bytes = b"\xff" * wire.KEY_BYTES
    next_key: bytes = b"\xff" * wire.KEY_BYTES


def newest_security(first: bytes, second: bytes) -> Security:
    """The newest intact record in the two areas; without one that of a new board."""
    newest, newest_sequence = Security(), 0
    stride = -(-wire.SECURITY_STRUCT.size // UNIT_BYTES) * UNIT_BYTES
    for area in (first, second):
        for at in range(0, len(area) - stride + 1, stride):
            record = area[at : at + wire.SECURITY_STRUCT.size]
            version, sequence, counter, key, next_key, crc = wire.SECURITY_STRUCT.unpack(record)
            if version == wire.SECURITY_VERSION and zlib.crc32(record[:-4]) == crc and sequence > newest_sequence:
                newest, newest_sequence = Security(counter, key, next_key), sequence
    return newest
