"""Firmware images for the host board, made without imgtool: any byte of them can be what a test wants.

The key is fixed, so that ``tests.firmware.program_process`` can pin it in the program.
"""

from __future__ import annotations

import hashlib
import struct
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tinyfleet_codegen.wire import image as wire
from tinyfleet_codegen.wire.image import ImageTlv

HOST_VENDOR = bytes.fromhex("26b760090d605411a83b552764aeb4c7")
HOST_CLASS = bytes.fromhex("1e06b7363f1f5cc598e171376c947ac8")
SLOT_ADDRESSES = (0x140000, 0x240000)
SLOT_BYTES = 0x100000
PAGE_BYTES = 4096
NVM_BYTES = 0x340000


@cache
def firmware_key() -> Ed25519PrivateKey:
    """The private key of these tests."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"tinyfleet test firmware key").digest())


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of its public key."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@cache
def model_key() -> Ed25519PrivateKey:
    """The private key that signs models; it never signs firmware."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"tinyfleet test model key").digest())


def keys_header() -> str:
    """``tyf_keys.h`` that pins the test keys."""
    firmware, model = (", ".join(f"0x{byte:02x}" for byte in public_bytes(key)) for key in (firmware_key(), model_key()))
    return f"#define TYF_FIRMWARE_KEY {{{firmware}}}\n#define TYF_MODEL_KEY {{{model}}}\n"


def make_image(
    slot: int,
    version: tuple[int, int, int, int] = (1, 0, 0, 0),
    body: bytes = bytes(3000),
    *,
    counter: int = 0,
    key: Ed25519PrivateKey | None = None,
    class_id: bytes = HOST_CLASS,
) -> bytes:
    """A signed image that is linked for a slot of the host board."""
    # Stack and entry, as every program begins: the entry must lie in the body.
    body = struct.pack("<II", 0x20001000, SLOT_ADDRESSES[slot] + wire.FIRMWARE_HEADER_BYTES + 9) + body
    return sign_body(body, SLOT_ADDRESSES[slot], version, counter=counter, key=key, class_id=class_id)


def sign_body(
    body: bytes,
    address: int,
    version: tuple[int, int, int, int],
    *,
    counter: int = 0,
    key: Ed25519PrivateKey | None = None,
    class_id: bytes = HOST_CLASS,
) -> bytes:
    """A signed image of a program that is linked for the slot that begins at ``address``."""
    key = key or firmware_key()
    protected = b""
    for kind, value in (
        (ImageTlv.SECURITY_COUNTER, struct.pack("<I", counter)),
        (ImageTlv.VENDOR, HOST_VENDOR),
        (ImageTlv.CLASS, class_id),
    ):
        protected += wire.TLV.pack(kind, len(value)) + value
    protected = wire.TLV.pack(wire.PROTECTED_MAGIC, wire.TLV.size + len(protected)) + protected
    header = wire.IMAGE_HEADER_STRUCT.pack(
        wire.IMAGE_MAGIC, address, wire.FIRMWARE_HEADER_BYTES, len(protected), len(body), wire.FLAG_ROM_FIXED, *version, 0
    )
    signed = header.ljust(wire.FIRMWARE_HEADER_BYTES, b"\0") + body + protected
    digest = hashlib.sha256(signed).digest()
    key_hash = hashlib.sha256(wire.SPKI_PREFIX + public_bytes(key)).digest()
    entries = b""
    for kind, value in ((ImageTlv.SHA256, digest), (ImageTlv.KEY_HASH, key_hash), (ImageTlv.ED25519, key.sign(digest))):
        entries += wire.TLV.pack(kind, len(value)) + value
    return signed + wire.TLV.pack(wire.TLV_MAGIC, wire.TLV.size + len(entries)) + entries


def image_digest(image: bytes) -> bytes:
    """The hash by which clients name an image."""
    return image[image.index(wire.TLV.pack(ImageTlv.SHA256, 32)) + wire.TLV.size :][:32]


def factory_nvm(nvm: bytes, image: bytes, slot: int = 0) -> bytes:
    """NVM with an image in a slot that is there to stay."""
    made = bytearray(nvm.ljust(NVM_BYTES, b"\xff"))
    at = SLOT_ADDRESSES[slot]
    made[at : at + SLOT_BYTES] = image.ljust(SLOT_BYTES, b"\xff")
    page = at + SLOT_BYTES - PAGE_BYTES
    made[page : page + wire.TRAILER_ORDER.size] = wire.TRAILER_ORDER.pack(1, ~1 & 0xFFFFFFFF)
    end = at + SLOT_BYTES
    made[end - wire.TRAILER_CONFIRMED_FROM_END] = wire.TRAILER_FLAG_SET
    made[end - wire.TRAILER_TRIED_FROM_END] = wire.TRAILER_FLAG_SET
    made[end - wire.TRAILER_MAGIC_FROM_END : end] = wire.TRAILER_MAGIC
    return bytes(made)
