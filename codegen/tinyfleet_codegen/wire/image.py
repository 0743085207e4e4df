"""Signed images as MCUboot lays them out, the trailer of a slot and the security log: ``docs/spec/image.md``. Little-endian."""

from __future__ import annotations

import struct
from enum import IntEnum

IMAGE_MAGIC = 0x96F3B83D
IMAGE_HEADER: tuple[tuple[str, str], ...] = (
    ("magic", "I"),
    ("load_address", "I"),
    ("header_bytes", "H"),
    ("protected_bytes", "H"),
    ("body_bytes", "I"),
    ("flags", "I"),
    ("version_major", "B"),
    ("version_minor", "B"),
    ("version_revision", "H"),
    ("version_build", "I"),
    ("pad", "I"),
)
"""Name and struct code of each field of an image's header, in order and without padding."""
IMAGE_HEADER_STRUCT = struct.Struct("<" + "".join(code for _, code in IMAGE_HEADER))
HEADER_BYTES = IMAGE_HEADER_STRUCT.size
"""Of the fields; ``header_bytes`` says where the body begins."""
FIRMWARE_HEADER_BYTES = 0x200
"""``header_bytes`` of firmware: its vector table is aligned for every core then."""
FLAG_NON_BOOTABLE = 0x10
FLAG_ROM_FIXED = 0x100
"""``load_address`` is where the image must lie."""
PROTECTED_MAGIC = 0x6908
TLV_MAGIC = 0x6907
TLV = struct.Struct("<HH")
"""Magic and size of an area, its own head included; then, for each entry, kind and size without this head."""


class ImageTlv(IntEnum):
    """Entries that the image check knows. The first three are not protected, all others are."""

    KEY_HASH = 0x01
    SHA256 = 0x10
    ED25519 = 0x24
    DEPENDENCY = 0x40
    SECURITY_COUNTER = 0x50
    VENDOR = 0x74
    CLASS = 0x75
    NEXT_KEY = 0xB0  # ours: a public key that is trusted besides the signer's once this image is confirmed


KEY_BYTES = 32
SIGNATURE_BYTES = 64
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""DER before the 32 bytes of an Ed25519 public key; KEY_HASH is the SHA-256 of both."""

TRAILER_MAGIC = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
"""The last 16 bytes of a slot whose image was asked for."""
TRAILER_FLAG_BYTES = 8
TRAILER_FLAG_SET = 0x01
TRAILER_MAGIC_FROM_END = 16
TRAILER_CONFIRMED_FROM_END = 24
"""MCUboot's image_ok."""
TRAILER_TRIED_FROM_END = 32
"""MCUboot's copy_done."""
TRAILER_ORDER = struct.Struct("<II")
"""Ours, at the begin of the slot's last page, twice: a number that rises with each request, and its complement."""
TRAILER_ORDER_COPIES = 2


def order_bytes(order: int) -> bytes:
    """All copies of a request's number."""
    return TRAILER_ORDER.pack(order, order ^ 0xFFFFFFFF) * TRAILER_ORDER_COPIES


def read_order(page: bytes) -> int:
    """The number at the begin of a trailer's page, from its first intact copy; 0: none."""
    for copy in range(TRAILER_ORDER_COPIES):
        order, complement = TRAILER_ORDER.unpack_from(page, copy * TRAILER_ORDER.size)
        if order ^ complement == 0xFFFFFFFF:
            return int(order)
    return 0


SECURITY_VERSION = 1
SECURITY: tuple[tuple[str, str], ...] = (
    ("version", "I"),
    ("sequence", "I"),
    ("counter", "I"),
    ("key", "32s"),
    ("next_key", "32s"),
    ("crc", "I"),
)
"""A record of the security log; the CRC-32 covers what is before it."""
SECURITY_STRUCT = struct.Struct("<" + "".join(code for _, code in SECURITY))
NO_KEY = b"\xff" * KEY_BYTES
"""As ``key``: the one that is pinned in the program; as ``next_key``: none."""
