"""Signed model package v1: a blob in MCUboot's image container, as ``docs/spec/model_package.md`` draws it. Little-endian."""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum

from tinyfleet_codegen.wire.blob import BLOB_VERSION
from tinyfleet_codegen.wire.image import (
    FLAG_NON_BOOTABLE,
    HEADER_BYTES,
    IMAGE_HEADER,
    IMAGE_HEADER_STRUCT,
    IMAGE_MAGIC,
    PROTECTED_MAGIC,
    TLV,
    TLV_MAGIC,
    ImageTlv,
)

__all__ = ["FLAG_NON_BOOTABLE", "HEADER_BYTES", "IMAGE_HEADER", "IMAGE_HEADER_STRUCT", "IMAGE_MAGIC", "PROTECTED_MAGIC", "TLV", "TLV_MAGIC"]
"""The container's facts, for those who read packages."""


PACKAGE_VERSION = 1


class Tlv(IntEnum):
    """Entries of the container that a package has. Those from FACTS on are ours; all but the last three are protected."""

    VENDOR = ImageTlv.VENDOR
    CLASS = ImageTlv.CLASS
    FACTS = 0xA0
    KERNELS = 0xA1
    GOLDEN = 0xA2
    STORED_INPUT = 0xA3
    KEY_HASH = ImageTlv.KEY_HASH
    SHA256 = ImageTlv.SHA256
    ED25519 = ImageTlv.ED25519


FACTS: tuple[tuple[str, str], ...] = (
    ("version", "H"),
    ("input_dtype", "B"),
    ("output_dtype", "B"),
    ("kernel_abi", "I"),
    ("arena_bytes", "I"),
    ("input_bytes", "I"),
    ("output_bytes", "I"),
    ("model_id", "32s"),
    ("input_scale", "f"),
    ("input_zero_point", "i"),
    ("output_scale", "f"),
    ("output_zero_point", "i"),
)
"""What a device and a host must know before they open the blob. Scale 0: the tensor is not quantized."""
FACTS_STRUCT = struct.Struct("<" + "".join(code for _, code in FACTS))

VECTOR: tuple[tuple[str, str], ...] = (("input", "B"), ("output", "B"), ("output_bytes", "H"), ("seed", "I"), ("case", "I"))
"""A golden vector; then ``output_bytes`` bytes: the output tensor, or its SHA-256."""
VECTOR_STRUCT = struct.Struct("<" + "".join(code for _, code in VECTOR))
INPUT_SEEDED, INPUT_STORED = 0, 1
OUTPUT_WHOLE, OUTPUT_SHA256 = 0, 1
MAX_WHOLE_OUTPUT_BYTES = 64
MAX_STORED_INPUT_BYTES = 4096
MAX_VECTORS = 16

DELTA_MAGIC = 0x44594654  # "TFYD"
DELTA_VERSION = 1
DELTA_HEADER: tuple[tuple[str, str], ...] = (
    ("magic", "I"),
    ("version", "H"),
    ("reserved", "H"),
    ("base", "32s"),
    ("package_bytes", "I"),
    ("package_sha256", "32s"),
)
"""Of a delta: the digest of the package that it changes, size and SHA-256 of the one that it makes; then instructions."""
DELTA_HEADER_STRUCT = struct.Struct("<" + "".join(code for _, code in DELTA_HEADER))
DELTA_INSTRUCTION = struct.Struct("<II")
"""Bytes and 0, followed by that many bytes; or COPY | bytes and the offset in the base from which they are copied."""
DELTA_COPY = 1 << 31


def kernel_abi(cpu_class: str) -> int:
    """Which kernels a blob was packed for: CRC-32 of the blob's version and the CPU class."""
    return zlib.crc32(f"tinyfleet blob {BLOB_VERSION} {cpu_class}".encode())
