"""Damaged bytes into every C parser of what comes from outside, inside ``tests/firmware/program``, under sanitizers.

The blob opener has a program of its own: ``tests/support/blob_fuzz.py``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import cbor2
import numpy as np

from tests.firmware.program_process import GROUP_OS, GROUP_TINYFLEET, READ, WRITE, FirmwareProgram, message, nvm_image
from tests.support.ble_bench import (
    ATT,
    DISCONNECT,
    HANDLE,
    LE_READ_DATA_LENGTH,
    LE_SET_ADVERTISING,
    PAIRING,
    RESET,
    SIGNALLING,
    acl,
    completed,
    event,
    pdu,
    status,
)
from tests.support.model_swap import write_key
from tests.support.signed_images import SLOT_ADDRESSES, factory_nvm, image_digest, make_image
from tests.support.small_models import dense_package
from tinyfleet.model_package import GoldenPlan, make_delta, pack_model
from tinyfleet_codegen.wire.ble import MANAGEMENT_SERVICE_UUID, MANAGEMENT_UUID
from tinyfleet_codegen.wire.image import FIRMWARE_HEADER_BYTES
from tinyfleet_codegen.wire.nvm import BOOT_MAGIC, BOOT_SLOT_OFFSETS

GROUP_IMAGE = 1
IMAGE = make_image(1, (2, 0, 0, 0), bytes(range(256)) * 5)
MESSAGES = [
    message(WRITE, GROUP_OS, 0, {"d": "some text that is echoed"}),
    message(READ, GROUP_OS, 2, {}),
    message(WRITE, GROUP_OS, 5, {}),
    message(READ, GROUP_OS, 6, {}, version=0),
    message(READ, GROUP_OS, 7, {"format": "snr"}),
    message(READ, GROUP_TINYFLEET, 0, {}),
    message(READ, GROUP_TINYFLEET, 1, {}),
    message(WRITE, GROUP_TINYFLEET, 2, {"off": 0, "data": bytes(24)}),
    message(WRITE, GROUP_TINYFLEET, 2, {"off": 10, "data": bytes(14)}),
    message(READ, GROUP_TINYFLEET, 2, {"off": 2}),
    message(WRITE, GROUP_TINYFLEET, 3, {"seed": 9, "first": 0, "count": 3}),
    message(WRITE, GROUP_TINYFLEET, 3, {"seed": 9, "first": 0, "layers": True, "from": 1}),
    message(READ, GROUP_TINYFLEET, 4, {"since": 0, "max": 20}),
    message(WRITE, GROUP_TINYFLEET, 5, {"stream": 3, "off": 0, "data": bytes(300)}),
    message(WRITE, GROUP_TINYFLEET, 5, {"stream": 3, "off": 50, "data": bytes(300)}),
    message(READ, GROUP_TINYFLEET, 6, {"x": [1, {"y": [2.5, None]}], "z": b"abc"}),
    message(WRITE, GROUP_OS, 0, {"d": "x" * 900}),
    message(READ, GROUP_TINYFLEET, 8, {"kernels": True}),
    message(WRITE, GROUP_TINYFLEET, 9, {"off": 0, "len": 300, "sha": bytes(32), "data": bytes(200)}),
    message(WRITE, GROUP_TINYFLEET, 9, {"off": 200, "data": bytes(100)}),
    message(WRITE, GROUP_TINYFLEET, 10, {"shadow": 3, "agree": 2, "budget_ms": 20, "confirm": True}),
    message(WRITE, GROUP_TINYFLEET, 11, {"digest": bytes(32)}),
    message(WRITE, GROUP_TINYFLEET, 12, {}),
    message(WRITE, GROUP_TINYFLEET, 13, {}),
    message(READ, GROUP_OS, 3, {}),
    message(READ, GROUP_OS, 4, {}),
    message(WRITE, GROUP_OS, 4, {"datetime": "2026-11-26T12:00:00"}),
    message(READ, GROUP_OS, 8, {"query": "mode"}),
    message(READ, GROUP_IMAGE, 0, {}),
    message(WRITE, GROUP_IMAGE, 0, {"hash": image_digest(IMAGE), "confirm": False}),
    message(WRITE, GROUP_IMAGE, 0, {"confirm": True}),
    message(WRITE, GROUP_IMAGE, 1, {"off": 0, "len": len(IMAGE), "sha": sha256(IMAGE).digest(), "image": 1, "data": IMAGE[:800]}),
    *(message(WRITE, GROUP_IMAGE, 1, {"off": off, "data": IMAGE[off : off + 800]}) for off in range(800, len(IMAGE), 800)),
    message(WRITE, GROUP_IMAGE, 5, {"slot": 1}),
    message(READ, GROUP_IMAGE, 6, {}),
    message(READ, 2, 0, {"name": "sensor"}),
    message(READ, 2, 1, {}),
    message(READ, 3, 0, {"name": "place", "max_size": 300}),
    message(WRITE, 3, 0, {"name": "place", "val": bytes(200)}),
    message(WRITE, 3, 1, {"name": "place"}),
    message(READ, 8, 0, {"name": "/crash", "off": 10}),
    message(READ, 8, 2, {"name": "crash", "type": "sha256", "off": 1, "len": 100}),
    message(READ, 10, 2, {"index": 3}),
    message(READ, 10, 3, {"groups": [1, 2, 64]}),
]
MAPS = [
    *(data[8:] for data in MESSAGES),
    b"\xbf\x61d\x9f\x01\x02\xff\x63off\x1a\xff\xff\xff\xff\xff",  # indefinite map and array
    bytes.fromhex("a2616401616402"),  # a key twice
    cbor2.dumps({"max": 2**64 - 1, "since": -1, "layers": False, "seed": 1.5, "data": cbor2.CBORTag(0, "2026-01-01")}),
    cbor2.dumps({"d": [[[[[["deep"]]]]]], "off": {"a": {"b": {"c": {}}}}}),
    cbor2.dumps({"": b"", "data": b"\x00" * 30, "stream": 0, "first": 2**32}),
]


@cache
def nvm_images() -> list[bytes]:
    """A board that never booted, and one with both boot slots; what lies behind the slots is of no interest."""
    fresh = nvm_image()
    booted = bytearray(fresh)
    for number, offset in enumerate(BOOT_SLOT_OFFSETS):
        slot = struct.pack("<II32s", BOOT_MAGIC, 7 + number, bytes(32))
        booted[offset : offset + len(slot) + 4] = slot + struct.pack("<I", zlib.crc32(slot))
    return [fresh[: BOOT_SLOT_OFFSETS[1] + 64], bytes(booted[: BOOT_SLOT_OFFSETS[1] + 64])]


@cache
def packages() -> list[bytes]:
    """One with every kind of entry, one with hashes."""
    stored = np.zeros((1, 8, 3), np.int8)
    return [
        pack_model(dense_package("dense", 1, hidden=2), "host", golden=GoldenPlan(count=2, stored=stored)),
        pack_model(dense_package("large", 2, hidden=2, outputs=100), "host", golden=GoldenPlan(count=1)),
    ]


@cache
def transfers() -> list[bytes]:
    """Signed packages, the first of which becomes live, and a delta from it."""
    with TemporaryDirectory() as folder:
        key = write_key(Path(folder))
        first, second, third = (
            pack_model(dense_package(name, 3, hidden=20, head_seed=head), "host", key=key, golden=GoldenPlan(count=1))
            for name, head in (("first", 4), ("second", 5), ("third", 6))
        )
    deltas = [make_delta(first, package) for package in (second, third)]
    return [first, second, third, *(delta for delta in deltas if delta is not None)]


def _att(text: str, tail: bytes = b"") -> bytes:
    return acl(pdu(ATT, bytes.fromhex(text) + tail))


_SWITCH_ON = _att("12 0a00 0100")
_WRITE = "52 0900"
BLE_PACKETS = [
    *(_att(text) for text in ("02 f700", "04 0100 ffff", "0a 0300", "0a 1500", "0c 1500 0500", "0e 0300 0500", "1e", "16 0900 0000 41")),
    *(
        _att(f"{text} 0100 ffff", tail)
        for text in ("08", "10")
        for tail in (b"\x00\x28", b"\x03\x28", b"\x00\x2a", MANAGEMENT_UUID.bytes[::-1])
    ),
    _att("06 0100 ffff 0028", MANAGEMENT_SERVICE_UUID.bytes[::-1]),
    *(_SWITCH_ON, _att("12 0e00 0100"), _SWITCH_ON + _att(_WRITE, MESSAGES[0]), _att(_WRITE, MESSAGES[3]), _att(_WRITE, MESSAGES[5])),
    _SWITCH_ON + b"".join(_att(_WRITE, MESSAGES[16][at : at + 200]) for at in range(0, len(MESSAGES[16]), 200)),
    acl(pdu(ATT, bytes.fromhex("0a0300"))[:5]) + acl(pdu(ATT, bytes.fromhex("0a0300"))[5:], first=False),
    acl(pdu(SIGNALLING, bytes.fromhex("14 01 0a00 8000 4000 1700 1700 0a00"))),
    acl(pdu(SIGNALLING, bytes.fromhex("12 02 0800 1800 2800 0000 4800"))),
    acl(pdu(PAIRING, bytes.fromhex("01 03 00 01 10 07 07"))),
    *(completed(opcode) for opcode in (0, RESET, LE_READ_DATA_LENGTH, LE_SET_ADVERTISING)),
    *(status(LE_SET_ADVERTISING, 0), status(DISCONNECT, 0)),
    event(0x13, struct.pack("<BHH", 1, HANDLE, 2)),
    event(0x13, struct.pack("<BHHHH", 2, HANDLE, 1, HANDLE + 1, 1)),
    event(0x05, struct.pack("<BHB", 0, HANDLE, 0x13)),
    event(0x10, b"\x42"),
    *(event(0x3E, struct.pack("<BBHBB6sHHHB", 1, 0, HANDLE + more, 1, 1, bytes(6), 24, 0, 72, 0)) for more in (0, 1)),
    event(0x3E, struct.pack("<BH8sH", 5, HANDLE, bytes(8), 0)),
    event(0x3E, struct.pack("<BHHHHH", 6, HANDLE, 24, 40, 0, 72)),
]
COMMANDS = ["name%", "profile%", "timestamp%", "help%", "db load 24%", "db load 2560%", "db 00112233445566778899aabbccddeeff%", "db print%"]
COMMANDS += ["infer 1 0%", "infer 2 1%", "infer%", "results%", "db load 640%db " + "7f" * 31 + "%", "%%%", "x" * 300, "infer 10 99%db%"]


@dataclass(frozen=True, slots=True)
class Parser:
    """A target: how to ask the program for it, and what is damaged."""

    name: str
    letter: str
    head: bytes
    corpus: Sequence[bytes]

    def run(self, program: FirmwareProgram, seed: int, rounds: int) -> int:
        """Damage and parse; how many were accepted, where the target tells.

        Raises:
            AssertionError: the program ended, with what it or a sanitizer said.
        """
        items = b"".join(struct.pack("<H", len(data)) + data for data in self.corpus)
        reply = program.ask(self.letter, self.head + struct.pack("<II", seed & 0xFFFFFFFF, rounds) + items)
        assert int.from_bytes(reply[:4], "little") == rounds, reply
        return int.from_bytes(reply[4:8], "little")


PARSERS = (
    Parser("CBOR map", "Y", b"c", MAPS),
    Parser("console frame", "Y", b"f", MESSAGES),
    Parser("NVM image", "Y", b"n", nvm_images()),
    Parser("model package", "Y", b"p", packages()),
    Parser("model store", "X", b"", transfers()),
    Parser("SMP server", "Z", b"", MESSAGES),
    Parser("BLE", "h", b"", BLE_PACKETS),
    Parser("benchmark command", "z", b"", [text.encode() for text in COMMANDS]),
)
MONITOR_SIZES = (490, 12)
"""Input and output bytes of the benchmark monitor's model."""


def prepare(program: FirmwareProgram) -> None:
    """Switch the board on, with an image in slot 0 that runs, and start the benchmark monitor."""
    program.power_on(factory_nvm(nvm_image(), make_image(0)))
    program.run_image(SLOT_ADDRESSES[0] + FIRMWARE_HEADER_BYTES)
    program.ask("M", struct.pack("<II", *MONITOR_SIZES))
