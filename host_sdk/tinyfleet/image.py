"""Signed firmware images: made with imgtool, read without it. The bytes are in ``docs/spec/image.md``.

::

    sign_firmware(raw, target, ImageFacts("mps2_an386", slot=0, version="1.2.0"), key)
    image = read_image(target.read_bytes())
    print(image.version, image.digest.hex())
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.board import load_board
from tinyfleet_codegen.errors import ImageError, SetupError, UsageError
from tinyfleet_codegen.wire import image as wire
from tinyfleet_codegen.wire.image import ImageTlv

VENDOR = "tinyfleet.invalid"
"""Domain that names who made the board; imgtool makes the vendor's and the class's UUID from it and the board's id."""
SLOTS = ("slot_0", "slot_1")
WITNESS_MARK = b"tyf-witness-build"
"""Stands in test builds that write a trace of their records (``firmware/lib/telemetry/src/witness.h``)."""
_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is said of an image when it is signed.

    Attributes:
        board: Id of the board.
        slot: 0 or 1: the slot that it was linked for.
        version: ``MAJOR.MINOR.REVISION[+BUILD]``.
        security_counter: A board that has confirmed a higher one refuses this image.
        next_key: 32 bytes of a public firmware key that is trusted too once this image is confirmed; None: no change.
        least_version: Running firmware that the image depends on; None: any.
    """

    board: str
    slot: int
    version: str
    security_counter: int = 0
    next_key: bytes | None = None
    least_version: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """What an image says of itself; nobody has checked it against a key.

    Attributes:
        version: ``1.2.0`` or ``1.2.0.4``, as SMP shows it.
        digest: SHA-256 of all but the entries that are not protected; by it SMP clients name an image.
        load_address: Where it must lie.
        is_bootable: False for a model package.
        body: What runs.
        protected: Protected entries by their kinds.
        others: The other entries: hash, key hash, signature.
    """

    version: str
    digest: bytes
    load_address: int
    is_bootable: bool
    body: bytes
    protected: dict[int, bytes]
    others: dict[int, bytes]

    @property
    def security_counter(self) -> int:
        """0 when there is none."""
        return int.from_bytes(self.protected.get(ImageTlv.SECURITY_COUNTER, b""), "little")


def vendor_id() -> bytes:
    """UUID of the vendor, as it stands in every image."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, VENDOR).bytes


def class_id(board: str) -> bytes:
    """UUID of a kind of board, as it stands in every image for it."""
    return uuid.uuid5(uuid.UUID(bytes=vendor_id()), board).bytes


def run_imgtool(*arguments: str | Path) -> None:
    """Call imgtool.

    Raises:
        ImageError: it refuses.
        SetupError: it is not installed.
    """
    command = [sys.executable, "-P", "-m", "imgtool.main", *map(str, arguments)]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"imgtool did not finish within {_TIMEOUT_S} s") from error
    if "No module named 'imgtool" in run.stderr or "No module named imgtool" in run.stderr:
        raise SetupError("imgtool is not installed", hint="pip install 'tinyfleet[build]'")
    if run.returncode != 0:
        raise ImageError(f"imgtool refused: {(run.stderr.strip().splitlines() or ['without a word'])[-1]}")


def sign_firmware(raw: Path, target: Path, facts: ImageFacts, key: Path) -> Image:
    """Wrap a program that was linked for a slot, and sign it.

    Args:
        raw: The program, as the linker left it.
        target: Where to; replaced.
        key: PEM file with the private firmware key.

    Raises:
        UsageError: the board has no such slot.
        ImageError: it does not fit into the slot, was linked for another place, is a test build, or imgtool refuses.
        SetupError: imgtool is not installed.
    """
    board = load_board(facts.board)
    board.require_updates()
    area = board.require_area(SLOTS[facts.slot])
    program = raw.read_bytes()
    if WITNESS_MARK in program:
        raise ImageError(f"{raw} is a test build with a witness; it is not signed", hint="build it without TYF_CFG_WITNESS")
    _require_linked_for(program, area.address + wire.FIRMWARE_HEADER_BYTES, area.bytes, raw, facts)
    arguments: list[str | Path] = ["sign", "--header-size", str(wire.FIRMWARE_HEADER_BYTES), "--pad-header"]
    # The slot's room is checked below: imgtool would reserve more of it than direct-XIP needs.
    arguments += ["--slot-size", str(2**31 - 1), "--align", "8", "--rom-fixed", str(area.address)]
    arguments += ["--version", facts.version, "--security-counter", str(facts.security_counter)]
    arguments += ["--vid", VENDOR, "--cid", facts.board, "--key", key]
    if facts.least_version is not None:
        arguments += ["--dependencies", f"(0,{facts.least_version})"]
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        signed = Path(folder, "signed.bin")
        if facts.next_key is not None:
            file = Path(folder, "next_key")
            file.write_bytes(facts.next_key)
            arguments += ["--custom-tlv-file", f"{int(ImageTlv.NEXT_KEY):#06x}", file]
        run_imgtool(*arguments, raw, signed)
        data = signed.read_bytes()
    room = area.bytes - (board.page_bytes or 0)
    if len(data) > room:
        raise ImageError(f"the image has {len(data)} bytes, slot {facts.slot} of {facts.board} has room for {room}")
    target.write_bytes(data)
    return read_image(data)


def _require_linked_for(program: bytes, origin: int, size: int, raw: Path, facts: ImageFacts) -> None:
    entry = int.from_bytes(program[4:8], "little") & ~1
    if not origin <= entry < origin + size:
        raise ImageError(
            f"{raw} starts at {entry:#x}, outside slot {facts.slot} of {facts.board}",
            hint="sign the file of this slot: tinyfleet build --signed links one for each",
        )


def read_image(data: bytes) -> Image:
    """Read an image, firmware or model package, and check its hash; not its signature.

    Raises:
        ImageError: it is malformed, or its hash is another one.
    """
    try:
        header = dict(zip((name for name, _ in wire.IMAGE_HEADER), wire.IMAGE_HEADER_STRUCT.unpack_from(data), strict=True))
        if header["magic"] != wire.IMAGE_MAGIC:
            raise ImageError(f"not an image: it begins with {data[:4].hex()}")
        begin, end = header["header_bytes"], header["header_bytes"] + header["body_bytes"]
        protected = _entries(data, end, wire.PROTECTED_MAGIC) if header["protected_bytes"] else {}
        hashed = end + header["protected_bytes"]
        others = _entries(data, hashed, wire.TLV_MAGIC)
    except (struct.error, ValueError) as error:
        raise ImageError(f"the image is malformed: {error}") from error
    digest = hashlib.sha256(data[:hashed]).digest()
    if others.get(ImageTlv.SHA256) != digest:
        raise ImageError("the image is damaged: its hash is another one", hint="build or copy it again")
    build = f".{header['version_build']}" if header["version_build"] else ""
    return Image(
        version=f"{header['version_major']}.{header['version_minor']}.{header['version_revision']}{build}",
        digest=digest,
        load_address=header["load_address"],
        is_bootable=not header["flags"] & wire.FLAG_NON_BOOTABLE,
        body=data[begin:end],
        protected=protected,
        others=others,
    )


def _entries(data: bytes, at: int, magic: int) -> dict[int, bytes]:
    found, size = wire.TLV.unpack_from(data, at)
    if found != magic or at + size > len(data):
        raise ValueError(f"no entries at {at}")
    entries: dict[int, bytes] = {}
    end, at = at + size, at + wire.TLV.size
    while at < end:
        kind, count = wire.TLV.unpack_from(data, at)
        at += wire.TLV.size
        if at + count > end or kind in entries:
            raise ValueError(f"entry {kind:#x} at {at}")
        entries[kind] = data[at : at + count]
        at += count
    return entries


def slot_of(image: Image, board: str) -> int:
    """The slot of a board that an image was linked for.

    Raises:
        ImageError: none, or it is for another board.
    """
    if image.protected.get(ImageTlv.CLASS) != class_id(board):
        raise ImageError(f"the image is not for {board}")
    for slot, name in enumerate(SLOTS):
        if image.is_bootable and load_board(board).require_area(name).address == image.load_address:
            return slot
    raise ImageError(f"the image is linked for {image.load_address:#x}, which is no slot of {board}")


def factory_slot(data: bytes, slot_bytes: int, page_bytes: int) -> dict[int, bytes]:
    """What a slot holds when a board leaves the factory: an image that is confirmed, as pieces by their offsets.

    Raises:
        ImageError: it does not fit.
    """
    if len(data) > slot_bytes - page_bytes:
        raise ImageError(f"the image has {len(data)} bytes, the slot has room for {slot_bytes - page_bytes}")
    image_pages = -len(data) % page_bytes
    page = bytearray(b"\xff" * page_bytes)
    order = wire.order_bytes(1)
    page[: len(order)] = order
    for from_end in (wire.TRAILER_CONFIRMED_FROM_END, wire.TRAILER_TRIED_FROM_END):
        page[page_bytes - from_end] = wire.TRAILER_FLAG_SET
    page[page_bytes - wire.TRAILER_MAGIC_FROM_END :] = wire.TRAILER_MAGIC
    return {0: data + b"\xff" * image_pages, slot_bytes - page_bytes: bytes(page)}


def write_factory_slot(nvm: Path, board: str, image: bytes) -> None:
    """Put an image for slot 0 into a new NVM file of an emulated board, confirmed.

    Raises:
        ImageError: the image is for another board or slot, or does not fit.
    """
    facts = load_board(board)
    facts.require_updates()
    slot = slot_of(read_image(image), board)
    if slot != 0:
        raise ImageError(f"a board leaves the factory with slot 0, and the image is for slot {slot}", hint="give NAME.slot0.bin")
    area = facts.require_area(SLOTS[0])
    assert facts.page_bytes is not None, "a board with slots has pages"
    with nvm.open("r+b") as file:
        for offset, piece in factory_slot(image, area.bytes, facts.page_bytes).items():
            file.seek(area.offset + offset)
            file.write(piece)


def find_factory_image(folder: Path) -> Path:
    """``NAME.slot0.bin`` in a folder that ``tinyfleet build --signed`` wrote.

    Raises:
        UsageError: there is none, or several.
    """
    found: Sequence[Path] = sorted(path for path in folder.glob("*.slot0.bin") if not path.name.endswith(".unsigned.bin"))
    if len(found) != 1:
        raise UsageError(
            f"{folder} holds {len(found)} files NAME.slot0.bin, one is needed",
            hint=f"tinyfleet build --board B --model M.tflite --signed -o {folder}",
        )
    return found[0]
