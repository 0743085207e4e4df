"""Firmware images in MCUboot's format, written here so that the bootloader's reader meets another writer than imgtool."""

from __future__ import annotations

import hashlib
import struct
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tinyfleet_codegen.wire import image as wire

VENDOR = uuid.uuid5(uuid.NAMESPACE_DNS, "tinyfleet.invalid")
KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"firmware key of the power-cut campaign").digest())
MODEL_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"model key of the power-cut campaign").digest())


def write_keys(folder: Path) -> Path:
    """Write ``tyf_keys.h``, which pins the two keys; returns the folder."""
    lines = [
        f"#define TYF_{name}_KEY {{{', '.join(map(str, key.public_key().public_bytes_raw()))}}}"
        for name, key in (("FIRMWARE", KEY), ("MODEL", MODEL_KEY))
    ]
    (folder / "tyf_keys.h").write_text("\n".join(lines) + "\n")
    return folder


def signed_image(body: bytes, address: int, version: tuple[int, int, int], counter: int, board: str | None = None) -> bytes:
    """Firmware for the slot that begins at ``address``; for the host board the first words become a stack and an entry."""
    if board is None:
        body = struct.pack("<II", 0x20001000, (address + wire.FIRMWARE_HEADER_BYTES + 0x100) | 1) + body[8:]
    protected = b"".join(
        _entry(kind, data)
        for kind, data in (
            (wire.ImageTlv.VENDOR, VENDOR.bytes),
            (wire.ImageTlv.CLASS, uuid.uuid5(VENDOR, board or "host").bytes),
            (wire.ImageTlv.SECURITY_COUNTER, struct.pack("<I", counter)),
        )
    )
    protected = wire.TLV.pack(wire.PROTECTED_MAGIC, len(protected) + wire.TLV.size) + protected
    header = wire.IMAGE_HEADER_STRUCT.pack(
        wire.IMAGE_MAGIC, address, wire.FIRMWARE_HEADER_BYTES, len(protected), len(body), wire.FLAG_ROM_FIXED, *version, 0, 0
    )
    hashed = header.ljust(wire.FIRMWARE_HEADER_BYTES, b"\xff") + body + protected
    digest = hashlib.sha256(hashed).digest()
    key_hash = hashlib.sha256(wire.SPKI_PREFIX + KEY.public_key().public_bytes_raw()).digest()
    entries = _entry(wire.ImageTlv.SHA256, digest) + _entry(wire.ImageTlv.KEY_HASH, key_hash)
    entries += _entry(wire.ImageTlv.ED25519, KEY.sign(digest))
    return hashed + wire.TLV.pack(wire.TLV_MAGIC, len(entries) + wire.TLV.size) + entries


def _entry(kind: int, data: bytes) -> bytes:
    return wire.TLV.pack(kind, len(data)) + data
