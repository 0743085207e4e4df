"""Model blob v1 (``.tfm``): a planned model as one binary, as ``docs/spec/blob.md`` draws it. Little-endian."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"TYFM"
BLOB_VERSION = 1
ALIGNMENT = 16
"""Of the blob in memory, and the most that anything in it asks for."""
MAX_BYTES = 2**31 - 1
MAX_NAME_BYTES = 63

HEADER: tuple[tuple[str, str], ...] = (
    ("magic", "4s"),
    ("crc32", "I"),
    ("version", "H"),
    ("kernel_count", "H"),
    ("blob_bytes", "I"),
    ("model_id", "32s"),
    ("arena_bytes", "I"),
    ("input_offset", "I"),
    ("input_bytes", "I"),
    ("output_offset", "I"),
    ("output_bytes", "I"),
    ("input_dtype", "B"),
    ("output_dtype", "B"),
    ("reserved", "H"),
    ("layer_count", "I"),
    ("step_count", "I"),
    ("kernels", "I"),
    ("steps", "I"),
    ("name", "I"),
    ("frontend", "I"),
    ("state_count", "I"),
    ("states", "I"),
)
"""Name and struct code of each header field, in order and without padding."""
HEADER_STRUCT = struct.Struct("<" + "".join(code for _, code in HEADER))
HEADER_BYTES = HEADER_STRUCT.size
CRC_START = 8
"""The checksum covers everything from here to the end."""

STEP = struct.Struct("<BBBB")
"""A step's first word: kernel (index into the blob's list), arguments, flags, 0."""
NO_KERNEL = 255
FLAG_LAYER = 1
"""The step ends a layer: its output's place and size follow the arguments."""
IN_ARENA = 1 << 31
"""In an argument: an offset in the arena, not in the blob. 0 is NULL."""

STATE = struct.Struct("<III")
"""Offset in the arena, bytes, and where the value after a reset is in the blob, or FILL | a byte that all are."""
FILL = 1 << 31

FRONTEND = struct.Struct("<HHHbB")
"""Channels, window and hop in samples, zero point, 0; then per channel int32 multiplier, int16 offset, int8 shift."""


@dataclass(frozen=True, slots=True)
class BlobLayout:
    """What a host needs to know of a blob that the C code has opened."""

    arena_bytes: int
    input_bytes: int
    output_bytes: int
    input_dtype: int
    output_dtype: int
    layer_bytes: tuple[int, ...]


def read_blob(blob: bytes) -> BlobLayout:
    """Read sizes from a blob that ``tyf_blob_open`` accepted; nothing is checked here."""
    header = dict(zip((name for name, _ in HEADER), HEADER_STRUCT.unpack_from(blob), strict=True))
    layers, at = [], header["steps"]
    for _ in range(header["step_count"]):
        _, arguments, flags, _ = STEP.unpack_from(blob, at)
        at += STEP.size + 4 * arguments
        if flags & FLAG_LAYER:
            layers.append(struct.unpack_from("<II", blob, at)[1])
            at += 8
    return BlobLayout(
        header["arena_bytes"],
        header["input_bytes"],
        header["output_bytes"],
        header["input_dtype"],
        header["output_dtype"],
        tuple(layers),
    )
