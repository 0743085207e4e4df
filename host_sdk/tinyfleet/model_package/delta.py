"""What to send of a package when the device has another one: weights that did not change are copied there."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from tinyfleet.model_package.contents import read_package
from tinyfleet_codegen.errors import ImageError
from tinyfleet_codegen.wire import model_package as wire

_BLOCK = 16
_STEP = 4
"""Blocks of the base are known at multiples of it: constants begin there."""
_SHORTEST_COPY = 32
_WORTH = 0.9
"""A delta larger than this part of the package is not worth its risk."""


def make_delta(base: bytes, package: bytes) -> bytes | None:
    """The delta that makes ``package`` of ``base``; None when the package itself is hardly larger.

    Raises:
        ImageError: one of them is no package.
    """
    read_package(package)
    header = wire.DELTA_HEADER_STRUCT.pack(
        wire.DELTA_MAGIC, wire.DELTA_VERSION, 0, read_package(base).digest, len(package), hashlib.sha256(package).digest()
    )
    parts, literal = [header], bytearray()

    def flush() -> None:
        if literal:
            parts.append(wire.DELTA_INSTRUCTION.pack(len(literal), 0) + bytes(literal))
            literal.clear()

    blocks = {base[at : at + _BLOCK]: at for at in reversed(range(0, len(base) - _BLOCK + 1, _STEP))}
    old, new = np.frombuffer(base, np.uint8), np.frombuffer(package, np.uint8)
    at, shift = 0, 0
    while at < len(package):
        source, count = at + shift, _equal(old, at + shift, new, at)
        if count < _SHORTEST_COPY:
            found = blocks.get(package[at : at + _BLOCK])
            if found is not None:
                source, count = found, _equal(old, found, new, at)
        if count < _SHORTEST_COPY:
            literal.append(package[at])
            at += 1
            continue
        flush()
        parts.append(wire.DELTA_INSTRUCTION.pack(wire.DELTA_COPY | count, source))
        shift = source - at
        at += count
    flush()
    delta = b"".join(parts)
    return delta if len(delta) <= _WORTH * len(package) else None


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """What a device makes of a delta.

    Raises:
        ImageError: the delta is malformed, of another base, or makes other bytes than it says.
    """
    if len(delta) < wire.DELTA_HEADER_STRUCT.size:
        raise ImageError(f"a delta of {len(delta)} bytes is truncated")
    magic, version, _, digest, size, sha256 = wire.DELTA_HEADER_STRUCT.unpack_from(delta)
    if magic != wire.DELTA_MAGIC or version != wire.DELTA_VERSION:
        raise ImageError(f"not a delta of version {wire.DELTA_VERSION}: it begins with 0x{magic:08x}, version {version}")
    if digest != read_package(base).digest:
        raise ImageError(f"the delta is of another base: {digest.hex()[:8]}", hint="send the whole package")
    made, at = bytearray(), wire.DELTA_HEADER_STRUCT.size
    while at + wire.DELTA_INSTRUCTION.size <= len(delta):
        word, source = wire.DELTA_INSTRUCTION.unpack_from(delta, at)
        at += wire.DELTA_INSTRUCTION.size
        count = word & ~wire.DELTA_COPY
        if word & wire.DELTA_COPY:
            made += base[source : source + count]
        else:
            made += delta[at : at + count]
            at += count
    if at != len(delta) or len(made) != size or hashlib.sha256(made).digest() != sha256:
        raise ImageError("the delta makes other bytes than it says", hint="make it again")
    return bytes(made)


def is_delta(data: bytes) -> bool:
    """Whether the bytes begin like a delta."""
    return data[:4] == wire.DELTA_MAGIC.to_bytes(4, "little")


def _equal(old: npt.NDArray[np.uint8], old_at: int, new: npt.NDArray[np.uint8], new_at: int) -> int:
    """How many bytes are equal from there on."""
    if not 0 <= old_at < len(old):
        return 0
    count = min(len(old) - old_at, len(new) - new_at)
    # Most mismatches come at once: look at a few bytes before at all.
    for window in (min(64, count), count):
        differs = np.flatnonzero(old[old_at : old_at + window] != new[new_at : new_at + window])
        if len(differs):
            return int(differs[0])
    return count
