"""Signed firmware images for the host board, and a board that runs one: what most tests want of ``images.py``.

The keys are fixed, so that ``tests.firmware.program_process`` can pin them in the program.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.images import HOST, SLOT_ADDRESSES, Sketch, firmware_entries, key, keys_header, public
from tinyfleet.image import class_id as class_id_of
from tinyfleet.image import factory_slot, read_image, vendor_id
from tinyfleet_codegen.wire import image as wire

__all__ = ["SLOT_ADDRESSES", "keys_header"]
"""With what is defined here: names that come from ``images.py``."""

HOST_VENDOR, HOST_CLASS = vendor_id(), class_id_of(HOST)
SLOT_BYTES = 0x100000
PAGE_BYTES = 4096
NVM_BYTES = 0x340000


def firmware_key() -> Ed25519PrivateKey:
    """The private key of these tests."""
    return key("firmware")


def model_key() -> Ed25519PrivateKey:
    """The private key that signs models; it never signs firmware."""
    return key("model")


def public_bytes(private: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of its public key."""
    return public(private)


def make_image(
    slot: int,
    version: tuple[int, int, int, int] = (1, 0, 0, 0),
    body: bytes = bytes(3000),
    *,
    counter: int = 0,
    key: Ed25519PrivateKey | None = None,
    next_key: bytes = b"",
    class_id: bytes = HOST_CLASS,
) -> bytes:
    """A signed image that is linked for a slot of the host board."""
    # Stack and entry, as every program begins: the entry must lie in the body.
    entry = SLOT_ADDRESSES[slot] + wire.FIRMWARE_HEADER_BYTES + 9
    body = (0x20001000).to_bytes(4, "little") + entry.to_bytes(4, "little") + body
    return sign_body(body, SLOT_ADDRESSES[slot], version, counter=counter, key=key, next_key=next_key, class_id=class_id)


def sign_body(
    body: bytes,
    address: int,
    version: tuple[int, int, int, int],
    *,
    counter: int = 0,
    key: Ed25519PrivateKey | None = None,
    next_key: bytes = b"",
    class_id: bytes = HOST_CLASS,
) -> bytes:
    """A signed image of a program that is linked for the slot that begins at ``address``; ``next_key``: the one that it vouches for."""
    entries = firmware_entries(counter, CLASS=class_id, **({"NEXT_KEY": next_key} if next_key else {}))
    return Sketch(load_address=address, body=body, version=version, protected=entries, signer=key or firmware_key()).build()


def image_digest(image: bytes) -> bytes:
    """The hash by which clients name an image."""
    return read_image(image).digest


def factory_nvm(nvm: bytes, image: bytes, slot: int = 0) -> bytes:
    """NVM with an image in a slot that is there to stay."""
    made = bytearray(nvm.ljust(NVM_BYTES, b"\xff"))
    at = SLOT_ADDRESSES[slot]
    made[at : at + SLOT_BYTES] = b"\xff" * SLOT_BYTES
    for offset, piece in factory_slot(image, SLOT_BYTES, PAGE_BYTES).items():
        made[at + offset : at + offset + len(piece)] = piece
    return bytes(made)
