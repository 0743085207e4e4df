"""Images as a test wants them: well-formed ones and every kind of wrong one, signed or not. Shares no code with imgtool."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.slots import Slots
from tinyfleet.image import class_id, vendor_id
from tinyfleet.signing_keys import key_hash
from tinyfleet_codegen.wire import image as wire
from tinyfleet_codegen.wire.image import ImageTlv

HOST = "host"
SLOT_ADDRESSES = tuple(area.offset for area in Slots(bytearray()).areas)
"""The host board's flash begins at address 0."""


def key(name: str) -> Ed25519PrivateKey:
    """A private key of the tests, by its name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key of tinyfleet's tests: " + name.encode()).digest())


def public(private: Ed25519PrivateKey) -> bytes:
    """Its public half."""
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def pem(private: Ed25519PrivateKey) -> bytes:
    """As imgtool reads it."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def keys_header() -> str:
    """``tyf_keys.h`` with the keys ``firmware`` and ``model``."""
    pinned = {"FIRMWARE": public(key("firmware")), "MODEL": public(key("model"))}
    return "".join(f"#define TYF_{name}_KEY {{{', '.join(map(str, value))}}}\n" for name, value in pinned.items())


@dataclass
class Sketch:
    """An image to be; :meth:`build` makes its bytes. Fields that are not given are those of good firmware for slot 0.

    Attributes:
        others: Entries that are not protected; None: hash, key hash and signature, as they should be.
        signed_digest: What the signature is over; None: the digest.
        named_key: The key that the image names; None: the one that signs.
        header: Fields of the header to set to another value, after everything else was computed from the right ones.
    """

    slot: int = 0
    body: bytes | None = None
    header_bytes: int = wire.FIRMWARE_HEADER_BYTES
    flags: int = wire.FLAG_ROM_FIXED
    load_address: int | None = None
    version: tuple[int, int, int, int] = (1, 2, 3, 0)
    protected: dict[int, bytes] | list[tuple[int, bytes]] | None = None
    others: Sequence[tuple[int, bytes]] | None = None
    signer: Ed25519PrivateKey = field(default_factory=lambda: key("firmware"))
    signed_digest: bytes | None = None
    named_key: bytes | None = None
    header: dict[str, int] = field(default_factory=dict)

    def build(self) -> bytes:
        """The bytes."""
        address = SLOT_ADDRESSES[self.slot] if self.load_address is None else self.load_address
        body = firmware_body(address) if self.body is None else self.body
        entries = firmware_entries() if self.protected is None else self.protected
        protected = area(wire.PROTECTED_MAGIC, list(entries.items()) if isinstance(entries, dict) else entries)
        values = {
            "magic": wire.IMAGE_MAGIC,
            "load_address": address,
            "header_bytes": self.header_bytes,
            "protected_bytes": len(protected),
            "body_bytes": len(body),
            "flags": self.flags,
            "version_major": self.version[0],
            "version_minor": self.version[1],
            "version_revision": self.version[2],
            "version_build": self.version[3],
            "pad": 0,
        } | self.header
        header = wire.IMAGE_HEADER_STRUCT.pack(*(values[name] for name, _ in wire.IMAGE_HEADER)).ljust(self.header_bytes, b"\xff")
        signed = header + body + protected
        return signed + area(wire.TLV_MAGIC, self.signature_entries(signed) if self.others is None else list(self.others))

    def signature_entries(self, signed: bytes) -> list[tuple[int, bytes]]:
        """Hash, key hash and signature of what is signed."""
        digest = hashlib.sha256(signed).digest()
        return [
            (ImageTlv.SHA256, digest),
            (ImageTlv.KEY_HASH, key_hash(self.named_key or public(self.signer))),
            (ImageTlv.ED25519, self.signer.sign(self.signed_digest or digest)),
        ]


def area(magic: int, entries: Sequence[tuple[int, bytes]]) -> bytes:
    """Entries with their area's head; no bytes for no protected entries."""
    data = b"".join(wire.TLV.pack(kind, len(value)) + value for kind, value in entries)
    if magic == wire.PROTECTED_MAGIC and not entries:
        return b""
    return wire.TLV.pack(magic, len(data) + wire.TLV.size) + data


def firmware_body(address: int, count: int = 3000, seed: int = 0) -> bytes:
    """A vector table whose entry lies in it, and further bytes."""
    entry = address + wire.FIRMWARE_HEADER_BYTES + 0x40
    filler = hashlib.shake_128(seed.to_bytes(4, "little")).digest(count)
    return (0x20001000).to_bytes(4, "little") + (entry | 1).to_bytes(4, "little") + filler[8:]


def firmware_entries(counter: int = 1, **more: bytes) -> dict[int, bytes]:
    """Protected entries of firmware for the host, in imgtool's order."""
    entries = {
        ImageTlv.SECURITY_COUNTER: counter.to_bytes(4, "little"),
        ImageTlv.VENDOR: vendor_id(),
        ImageTlv.CLASS: class_id(HOST),
    }
    return {int(kind): value for kind, value in entries.items()} | {int(ImageTlv[name]): value for name, value in more.items()}


def model_sketch(**changes: object) -> Sketch:
    """A model package, as the image check sees one."""
    entries = {int(ImageTlv.VENDOR): vendor_id(), int(ImageTlv.CLASS): class_id(HOST), 0xA0: b"facts of a model"}
    good: dict[str, object] = {
        "header_bytes": wire.HEADER_BYTES,
        "flags": wire.FLAG_NON_BOOTABLE,
        "load_address": 0,
        "body": b"a blob".ljust(2000, b"."),
        "protected": entries,
        "signer": key("model"),
    }
    return Sketch(**(good | changes))  # type: ignore[arg-type]


def dependency(image_id: int, version: tuple[int, int, int, int]) -> bytes:
    """A DEPENDENCY entry: that image, at least that version."""
    return bytes([image_id, 0, 0, 0]) + struct.pack("<BBHI", *version)


def corpus(kind: int) -> list[bytes]:
    """Images that damage starts from, for a slot or (2) models: every kind of entry, several sizes."""
    if kind == len(SLOT_ADDRESSES):
        sketch = model_sketch()
        assert isinstance(sketch.protected, dict)
        with_dependency = sketch.protected | {int(ImageTlv.DEPENDENCY): dependency(0, (0, 0, 0, 0))}
        return [sketch.build(), model_sketch(body=b"x").build(), model_sketch(protected=with_dependency).build()]
    everything = firmware_entries(3, NEXT_KEY=public(key("next")), DEPENDENCY=dependency(0, (0, 0, 0, 0)))
    return [
        Sketch(slot=kind).build(),
        Sketch(slot=kind, body=firmware_body(SLOT_ADDRESSES[kind], 72)).build(),
        Sketch(slot=kind, protected=everything).build(),
        Sketch(slot=kind, protected=[*firmware_entries().items(), (0xA7, b"unknown"), (0xA8, b"")]).build(),
        Sketch(slot=kind, others=[]).build(),
        area(wire.PROTECTED_MAGIC, [(1, b"2")]).ljust(40, b"\0"),
    ]
