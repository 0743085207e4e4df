"""The CBOR reader: what it finds in good maps, and that it refuses the others."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

import cbor2
import pytest

from tests.firmware.program_process import FirmwareProgram

OK, ABSENT, FORMAT = 0, -1, -2
DEPTH = 8
"""Default of TYF_CFG_CBOR_DEPTH."""


@dataclass(frozen=True, slots=True)
class Found:
    """Status and value of each kind of find."""

    number: tuple[int, int]
    flag: tuple[int, bool]
    bytes_status: int
    text_status: int
    string: bytes


def find(program: FirmwareProgram, data: bytes, key: str) -> Found | None:
    """What the reader finds under ``key``; None when it refuses the bytes."""
    reply = program.ask("C", bytes([len(key.encode())]) + key.encode() + data)
    status = int.from_bytes(reply[:1], signed=True)
    if status != OK:
        assert status == FORMAT and len(reply) == 1
        return None
    number_status, number, flag_status, flag, bytes_status, text_status, count = struct.unpack_from("<bIb?bbI", reply, 1)
    assert len(reply) == 14 + count
    return Found((number_status, number), (flag_status, flag), bytes_status, text_status, reply[14:])


@pytest.mark.parametrize("value", [0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1])
def test_unsigned_integers_of_every_width_are_found(program: FirmwareProgram, value: int) -> None:
    found = find(program, cbor2.dumps({"a": True, "since": value, "z": "s"}), "since")
    assert found is not None and found.number == (OK, value)
    assert (found.flag[0], found.bytes_status, found.text_status) == (FORMAT, FORMAT, FORMAT)


@pytest.mark.parametrize("value", [-1, 2**32, 2**64 - 1, 1.5, None, [], {}, 2**70])
def test_numbers_out_of_range_or_of_another_type_are_refused(program: FirmwareProgram, value: object) -> None:
    found = find(program, cbor2.dumps({"since": value}), "since")
    assert found is not None and found.number == (FORMAT, 0)


def test_strings_and_booleans_are_found(program: FirmwareProgram) -> None:
    data = cbor2.dumps({"d": b"\x00\x01\xff", "t": "wörld", "yes": True, "no": False, "": b""})
    found = find(program, data, "d")
    assert found is not None and found.string == b"\x00\x01\xff" and (found.bytes_status, found.text_status) == (OK, FORMAT)
    found = find(program, data, "t")
    assert found is not None and found.string == "wörld".encode() and (found.bytes_status, found.text_status) == (FORMAT, OK)
    found = find(program, data, "yes")
    assert found is not None and found.flag == (OK, True)
    found = find(program, data, "no")
    assert found is not None and found.flag == (OK, False)
    found = find(program, data, "")
    assert found is not None and found.bytes_status == OK


def test_absent_keys_are_absent_also_when_they_occur_deeper(program: FirmwareProgram) -> None:
    found = find(program, cbor2.dumps({"x": {"since": 5}, "y": ["since", 6], 7: 8, "sinc": 9, "since2": 1}), "since")
    assert found is not None and found.number == (ABSENT, 0)


def test_first_of_duplicate_keys_counts(program: FirmwareProgram) -> None:
    found = find(program, bytes.fromhex("a2") + b"\x61k\x01" + b"\x61k\x02", "k")
    assert found is not None and found.number == (OK, 1)


def test_indefinite_containers_and_tags_are_understood(program: FirmwareProgram) -> None:
    # {_ "x": [_ 1, [2], {_ }], "t": 1(0), "f": 1.5, "k": 9}
    data = bytes.fromhex("bf61789f01810 2bfffff".replace(" ", "") + "6174c1006166f93e00616b09ff")
    found = find(program, data, "k")
    assert found is not None and found.number == (OK, 9)


def test_empty_payload_is_an_empty_map(program: FirmwareProgram) -> None:
    found = find(program, b"", "k")
    assert found is not None and found.number == (ABSENT, 0)


def nested(levels: int) -> bytes:
    """A map whose one value holds arrays, ``levels`` containers in all."""
    return b"\xa1\x61k" + b"\x81" * (levels - 1) + b"\x00"


def test_nesting_ends_at_the_limit(program: FirmwareProgram) -> None:
    assert find(program, nested(DEPTH), "k") is not None
    assert find(program, nested(DEPTH + 1), "k") is None
    assert find(program, b"\xa1\x61k" + b"\xc1" * 900 + b"\x00", "k") is None
    assert find(program, b"\xbf\x61k" * 300, "k") is None


HOSTILE = {
    "not a map": "01",
    "array": "80",
    "bytes after the map": "a000",
    "head cut": "b8",
    "length cut": "a161645902",
    "string longer than the bytes": "a161644501",
    "string of 2^64 - 1 bytes": "a161645bffffffffffffffff",
    "map of 2^63 pairs": "bb8000000000000000",
    "map of 2^32 - 1 pairs": "baffffffff",
    "array of 2^64 - 1 items": "a161649bffffffffffffffff",
    "value missing": "a16164",
    "pair missing": "a2616401",
    "indefinite map without end": "bf616401",
    "indefinite map that ends between key and value": "bf6164ff",
    "end mark in a map of known length": "a16164ff",
    "end mark alone": "ff",
    "reserved head": "a161641c",
    "string in chunks": "a161645f4101ff",
    "integer of unknown length": "a161641f",
    "tag without item": "a16164c1",
    "simple value below 32 in two bytes": "a16164f81f",
    "float cut": "a16164fb00",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_malformed_bytes_are_refused(program: FirmwareProgram, name: str) -> None:
    assert find(program, bytes.fromhex(HOSTILE[name]), "d") is None


def test_every_truncation_of_a_request_is_refused(program: FirmwareProgram) -> None:
    data = cbor2.dumps({"stream": 70000, "off": 300, "data": bytes(30), "more": [1, {"x": None}], "layers": True})
    assert find(program, data, "data") is not None
    assert [length for length in range(1, len(data)) if find(program, data[:length], "data") is not None] == []


def test_random_bytes_never_break_the_reader(program: FirmwareProgram) -> None:
    source = random.Random(4)
    good = bytearray(cbor2.dumps({"a": [1, 2, {"b": b"xyz"}], "d": "text", "e": {"f": True}}))
    accepted = 0
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(source.randrange(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        accepted += find(program, bytes(data), "d") is not None
    assert 0 < accepted < 3000
