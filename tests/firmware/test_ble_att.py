"""The ATT server: every request, every error, values at every MTU, and the order of answers and notifications."""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

import pytest

from tests.firmware.program_process import DEVICE_ID, FirmwareProgram, message
from tests.support.ble_bench import (
    ATT,
    LAST_HANDLE,
    MANAGEMENT,
    MANAGEMENT_SWITCH,
    TELEMETRY,
    TELEMETRY_SWITCH,
    BleBench,
    acl,
    pdu,
)
from tinyfleet_codegen.wire.ble import MANAGEMENT_SERVICE_UUID, MANAGEMENT_UUID, TELEMETRY_SERVICE_UUID, TELEMETRY_UUID, name_of

NAME, SERIAL, FIRMWARE = 3, 21, 23
BASE = UUID("00000000-0000-1000-8000-00805f9b34fb")
INVALID_HANDLE, READ_NOT_PERMITTED, WRITE_NOT_PERMITTED, INVALID_PDU, NOT_SUPPORTED, INVALID_OFFSET = 1, 2, 3, 4, 6, 7
NOT_FOUND, INVALID_LENGTH, UNSUPPORTED_GROUP, IMPROPER = 0x0A, 0x0D, 0x10, 0xFD
VALUES = {
    NAME: name_of(DEVICE_ID).encode(),
    5: b"\x40\x05",
    MANAGEMENT_SWITCH: b"\0\0",
    TELEMETRY_SWITCH: b"\0\0",
    17: b"tinyfleet",
    19: b"host",
    SERIAL: DEVICE_ID.hex().encode(),
    FIRMWARE: b"sensor host",
}
SERVICES = {
    1: (5, b"\x00\x18"),
    6: (6, b"\x01\x18"),
    7: (10, MANAGEMENT_SERVICE_UUID.bytes[::-1]),
    11: (14, TELEMETRY_SERVICE_UUID.bytes[::-1]),
    15: (23, b"\x0a\x18"),
}
CHARACTERISTICS = {
    2: (2, 3, b"\x00\x2a"),
    4: (2, 5, b"\x01\x2a"),
    8: (0x14, 9, MANAGEMENT_UUID.bytes[::-1]),
    12: (0x10, 13, TELEMETRY_UUID.bytes[::-1]),
    16: (2, 17, b"\x29\x2a"),
    18: (2, 19, b"\x24\x2a"),
    20: (2, 21, b"\x25\x2a"),
    22: (2, 23, b"\x26\x2a"),
}


@pytest.fixture
def linked(program: FirmwareProgram) -> BleBench:
    bench = BleBench(program)
    bench.bring_up()
    bench.connect()
    return bench


def error(opcode: int, handle: int, code: int) -> bytes:
    return struct.pack("<BBHB", 1, opcode, handle, code)


def ranged(opcode: int, first: int, last: int, rest: bytes = b"") -> bytes:
    return struct.pack("<BHH", opcode, first, last) + rest


def short(uuid: int) -> bytes:
    return struct.pack("<H", uuid)


def test_services_are_found_by_group(linked: BleBench) -> None:
    for mtu in (23, 64, 247):
        linked.set_mtu(mtu)
        found = {}
        at = 1
        while (answer := linked.att(ranged(0x10, at, 0xFFFF, short(0x2800))))[0] == 0x11:
            size = answer[1]
            assert len(answer) <= mtu and (len(answer) - 2) % size == 0
            for offset in range(2, len(answer), size):
                handle, end = struct.unpack_from("<HH", answer, offset)
                found[handle] = (end, answer[offset + 4 : offset + size])
                at = end + 1
        assert answer == error(0x10, at, NOT_FOUND)
        assert found == SERVICES


def test_characteristics_are_found_by_type(linked: BleBench) -> None:
    for mtu in (23, 247):
        linked.set_mtu(mtu)
        found = {}
        at = 1
        while (answer := linked.att(ranged(0x08, at, 0xFFFF, short(0x2803))))[0] == 0x09:
            size = answer[1]
            assert len(answer) <= mtu
            for offset in range(2, len(answer), size):
                handle, properties, value = struct.unpack_from("<HBH", answer, offset)
                found[handle] = (properties, value, answer[offset + 5 : offset + size])
                at = handle + 1
        assert answer == error(0x08, at, NOT_FOUND)
        assert found == CHARACTERISTICS


def test_every_handle_has_its_type(linked: BleBench) -> None:
    expected = dict.fromkeys(SERVICES, short(0x2800)) | dict.fromkeys(CHARACTERISTICS, short(0x2803))
    expected |= {value: uuid for _, value, uuid in CHARACTERISTICS.values()}
    expected |= dict.fromkeys((MANAGEMENT_SWITCH, TELEMETRY_SWITCH), short(0x2902))
    for mtu in (23, 247):
        linked.set_mtu(mtu)
        found = {}
        at = 1
        while (answer := linked.att(ranged(0x04, at, 0xFFFF)))[0] == 0x05:
            size = 4 if answer[1] == 1 else 18
            assert len(answer) <= mtu
            for offset in range(2, len(answer), size):
                handle = int.from_bytes(answer[offset : offset + 2], "little")
                found[handle] = answer[offset + 2 : offset + size]
                at = handle + 1
        assert answer == error(0x04, LAST_HANDLE + 1, NOT_FOUND)
        assert found == expected and sorted(found) == list(range(1, LAST_HANDLE + 1))


@pytest.mark.parametrize("handle", SERVICES)
def test_a_service_is_found_by_its_uuid(linked: BleBench, handle: int) -> None:
    end, uuid = SERVICES[handle]
    request = ranged(0x06, 1, 0xFFFF, short(0x2800) + uuid)
    if len(request) <= 23:
        assert linked.att(request) == struct.pack("<BHH", 7, handle, end)
    linked.set_mtu(247)
    assert linked.att(request) == struct.pack("<BHH", 7, handle, end)
    assert linked.att(ranged(0x06, handle + 1, 0xFFFF, short(0x2800) + uuid)) == error(6, handle + 1, NOT_FOUND)
    assert linked.att(ranged(0x06, 1, 0xFFFF, short(0x2800) + uuid[:-1])) == error(6, 1, NOT_FOUND)


def test_find_by_value_finds_other_attributes_too(linked: BleBench) -> None:
    assert linked.att(ranged(0x06, 1, 0xFFFF, short(0x2A00) + VALUES[NAME])) == struct.pack("<BHH", 7, NAME, NAME)
    assert linked.att(ranged(0x06, 1, 0xFFFF, short(0x2902) + b"\0\0")) == struct.pack("<BHHHH", 7, 10, 10, 14, 14)


def test_values_are_read_whole_and_in_parts(linked: BleBench) -> None:
    for mtu in (23, 30, 247):
        linked.set_mtu(mtu)
        for handle, value in VALUES.items():
            assert linked.att(struct.pack("<BH", 0x0A, handle)) == b"\x0b" + value[: mtu - 1]
            for offset in range(len(value) + 1):
                assert linked.att(struct.pack("<BHH", 0x0C, handle, offset)) == b"\x0d" + value[offset : offset + mtu - 1]
            assert linked.att(struct.pack("<BHH", 0x0C, handle, len(value) + 1)) == error(0x0C, handle, INVALID_OFFSET)


def test_values_are_read_by_short_and_by_long_types(linked: BleBench) -> None:
    linked.set_mtu(247)
    long_name = struct.pack("<H", 0x2A00)
    for uuid in (long_name, (UUID(int=BASE.int | 0x2A00 << 96)).bytes[::-1]):
        assert linked.att(ranged(0x08, 1, 0xFFFF, uuid)) == struct.pack("<BBH", 9, 2 + len(VALUES[NAME]), NAME) + VALUES[NAME]
    groups = linked.att(ranged(0x10, 1, 0xFFFF, UUID(int=BASE.int | 0x2800 << 96).bytes[::-1]))
    assert groups == linked.att(ranged(0x10, 1, 0xFFFF, short(0x2800)))
    far = UUID(int=BASE.int | 0x1_2A00 << 96).bytes[::-1]
    assert linked.att(ranged(0x08, 1, 0xFFFF, far)) == error(8, 1, NOT_FOUND)


def test_a_long_value_is_cut_when_it_is_read_by_type(linked: BleBench) -> None:
    answer = linked.att(ranged(0x08, 1, 0xFFFF, short(0x2A25)))
    assert answer == struct.pack("<BBH", 9, 21, SERIAL) + VALUES[SERIAL][:19] and len(answer) == 23


def test_mtu_is_the_smaller_one_and_never_below_23(linked: BleBench) -> None:
    for theirs, agreed in ((0, 23), (22, 23), (24, 24), (247, 247), (65535, 247), (100, 100)):
        linked.set_mtu(theirs)
        answer = linked.att(ranged(0x08, 1, 0xFFFF, short(0x2A25)))
        assert len(answer) == min(agreed, 36)


ERRORS = {
    "an exchange of MTU without one": (b"\x02\xf7", error(2, 0, INVALID_PDU)),
    "an exchange of MTU with more": (b"\x02\xf7\x00\x00", error(2, 0, INVALID_PDU)),
    "find information, short": (b"\x04\x01\x00\xff", error(4, 0, INVALID_PDU)),
    "find information, long": (ranged(4, 1, 2, b"\0"), error(4, 0, INVALID_PDU)),
    "find information from 0": (ranged(4, 0, 5), error(4, 0, INVALID_HANDLE)),
    "find information backwards": (ranged(4, 5, 4), error(4, 5, INVALID_HANDLE)),
    "find information behind the end": (ranged(4, 24, 0xFFFF), error(4, 24, NOT_FOUND)),
    "find by value, short": (ranged(6, 1, 2, b"\0"), error(6, 0, INVALID_PDU)),
    "find by value from 0": (ranged(6, 0, 2, short(0x2800)), error(6, 0, INVALID_HANDLE)),
    "find by value backwards": (ranged(6, 3, 2, short(0x2800)), error(6, 3, INVALID_HANDLE)),
    "find by value, unknown": (ranged(6, 1, 0xFFFF, short(0x2801) + b"\0\x18"), error(6, 1, NOT_FOUND)),
    "find by value, unreadable": (ranged(6, 9, 9, short(0)), error(6, 9, NOT_FOUND)),
    "read by type, short": (ranged(8, 1, 2, b"\0"), error(8, 0, INVALID_PDU)),
    "read by type, between": (ranged(8, 1, 2, bytes(7)), error(8, 0, INVALID_PDU)),
    "read by type from 0": (ranged(8, 0, 2, short(0x2803)), error(8, 0, INVALID_HANDLE)),
    "read by type backwards": (ranged(8, 2, 1, short(0x2803)), error(8, 2, INVALID_HANDLE)),
    "read by type, unknown": (ranged(8, 1, 0xFFFF, short(0x2A19)), error(8, 1, NOT_FOUND)),
    "read by type, unreadable": (ranged(8, 1, 0xFFFF, TELEMETRY_UUID.bytes[::-1]), error(8, TELEMETRY, READ_NOT_PERMITTED)),
    "read, short": (b"\x0a\x03", error(0x0A, 0, INVALID_PDU)),
    "read, long": (b"\x0a\x03\x00\x00", error(0x0A, 0, INVALID_PDU)),
    "read of 0": (b"\x0a\x00\x00", error(0x0A, 0, INVALID_HANDLE)),
    "read behind the end": (b"\x0a\x18\x00", error(0x0A, 24, INVALID_HANDLE)),
    "read of what is written": (b"\x0a\x09\x00", error(0x0A, MANAGEMENT, READ_NOT_PERMITTED)),
    "read of what notifies": (b"\x0a\x0d\x00", error(0x0A, TELEMETRY, READ_NOT_PERMITTED)),
    "read of the rest, short": (b"\x0c\x03\x00\x00", error(0x0C, 0, INVALID_PDU)),
    "read of the rest of 0": (b"\x0c\x00\x00\x00\x00", error(0x0C, 0, INVALID_HANDLE)),
    "read of the rest of what is written": (b"\x0c\x09\x00\x00\x00", error(0x0C, MANAGEMENT, READ_NOT_PERMITTED)),
    "read of the rest behind the end": (b"\x0c\x03\x00\x09\x00", error(0x0C, NAME, INVALID_OFFSET)),
    "read multiple": (b"\x0e\x03\x00\x05\x00", error(0x0E, 0, NOT_SUPPORTED)),
    "read by group, short": (ranged(0x10, 1, 2, b"\0"), error(0x10, 0, INVALID_PDU)),
    "read by group from 0": (ranged(0x10, 0, 2, short(0x2800)), error(0x10, 0, INVALID_HANDLE)),
    "read by group backwards": (ranged(0x10, 2, 1, short(0x2800)), error(0x10, 2, INVALID_HANDLE)),
    "read by group that is none": (ranged(0x10, 1, 9, short(0x2803)), error(0x10, 1, UNSUPPORTED_GROUP)),
    "read by group of 128 bits": (ranged(0x10, 1, 9, MANAGEMENT_UUID.bytes), error(0x10, 1, UNSUPPORTED_GROUP)),
    "read by group, secondary": (ranged(0x10, 1, 9, short(0x2801)), error(0x10, 1, NOT_FOUND)),
    "write, short": (b"\x12\x0a", error(0x12, 0, INVALID_PDU)),
    "write to 0": (b"\x12\x00\x00\x01\x00", error(0x12, 0, INVALID_HANDLE)),
    "write behind the end": (b"\x12\x18\x00\x01\x00", error(0x12, 24, INVALID_HANDLE)),
    "write of what is read": (b"\x12\x03\x00x", error(0x12, NAME, WRITE_NOT_PERMITTED)),
    "write of management with an answer": (b"\x12\x09\x00x", error(0x12, MANAGEMENT, WRITE_NOT_PERMITTED)),
    "write of a switch, short": (b"\x12\x0a\x00\x01", error(0x12, MANAGEMENT_SWITCH, INVALID_LENGTH)),
    "write of a switch, long": (b"\x12\x0a\x00\x01\x00\x00", error(0x12, MANAGEMENT_SWITCH, INVALID_LENGTH)),
    "write of a switch, empty": (b"\x12\x0e\x00", error(0x12, TELEMETRY_SWITCH, INVALID_LENGTH)),
    "indications": (b"\x12\x0a\x00\x02\x00", error(0x12, MANAGEMENT_SWITCH, IMPROPER)),
    "a switch with more bits": (b"\x12\x0a\x00\x01\x80", error(0x12, MANAGEMENT_SWITCH, IMPROPER)),
    "prepare write": (b"\x16\x09\x00\x00\x00x", error(0x16, 0, NOT_SUPPORTED)),
    "execute write": (b"\x18\x01", error(0x18, 0, NOT_SUPPORTED)),
    "read multiple of variable length": (b"\x20\x03\x00\x05\x00", error(0x20, 0, NOT_SUPPORTED)),
    "an unknown request": (b"\x3e", error(0x3E, 0, NOT_SUPPORTED)),
    "a confirmation of nothing": (b"\x1e", b""),
    "an unknown command": (b"\x72\x09\x00", b""),
    "a signed write": (b"\xd2\x09\x00" + bytes(13), b""),
    "an answer": (b"\x0b\x00", b""),
    "a notification of theirs": (b"\x1b\x09\x00x", b""),
    "an indication of theirs": (b"\x1d\x09\x00x", b""),
    "a write command to a switch": (b"\x52\x0a\x00\x01\x00", b""),
    "a write command to 0": (b"\x52\x00\x00\x01", b""),
    "a write command behind the end": (b"\x52\x18\x00\x01", b""),
    "a short write command": (b"\x52\x09", b""),
}


def test_every_error_is_the_specifications(linked: BleBench) -> None:
    linked.set_mtu(247)
    for what, (request, answer) in ERRORS.items():
        assert linked.att(request).hex() == answer.hex(), what
    assert linked.att(bytes([0x0A, MANAGEMENT_SWITCH, 0])) == b"\x0b\0\0", "nothing turned it on"


def test_requests_longer_than_agreed_on_get_no_answer(linked: BleBench) -> None:
    request = ranged(6, 1, 0xFFFF, short(0x2800) + bytes(17))
    assert len(request) == 24 and linked.att(request) == b""
    linked.set_mtu(24)
    assert linked.att(request) == error(6, 1, NOT_FOUND)


def test_a_request_before_the_answer_gets_none(linked: BleBench) -> None:
    linked.keeps_credits = True
    for _ in range(linked.buffers):
        linked.exchange(ATT, b"\x0a\x03\x00")
    linked.exchange(ATT, b"\x0a\x05\x00")
    linked.exchange(ATT, b"\x0a\x11\x00")
    before = len(linked.sent)
    linked.credit(linked.buffers)
    assert [value for _, value in linked.sent[before:]] == [b"\x0b" + VALUES[5]]


def test_switches_keep_to_themselves(linked: BleBench) -> None:
    linked.switch(TELEMETRY_SWITCH)
    assert linked.att(bytes([0x0A, MANAGEMENT_SWITCH, 0])) == b"\x0b\0\0"
    assert linked.att(bytes([0x0A, TELEMETRY_SWITCH, 0])) == b"\x0b\1\0"
    linked.switch(TELEMETRY_SWITCH, 0)
    assert linked.att(bytes([0x0A, TELEMETRY_SWITCH, 0])) == b"\x0b\0\0"


def test_no_notification_comes_before_the_answer_that_turns_it_on(linked: BleBench) -> None:
    """Some hosts drop one that does: they do not listen yet."""
    linked.set_mtu(247)
    linked.keeps_credits = True
    for _ in range(linked.buffers):
        linked.exchange(ATT, b"\x0a\x03\x00")
    before = len(linked.sent)
    echo = struct.pack("<BH", 0x52, MANAGEMENT) + message(2, 0, 0, {"d": "x"})
    switch_on = struct.pack("<BHH", 0x12, MANAGEMENT_SWITCH, 1)
    linked.feed(acl(pdu(ATT, echo)) + acl(pdu(ATT, switch_on)))
    linked.credit(2)
    assert [value[0] for _, value in linked.sent[before:]] == [0x13, 0x1B]


def test_without_its_switch_nothing_is_notified(linked: BleBench) -> None:
    linked.set_mtu(247)
    request = message(2, 0, 0, {"d": "x"})
    linked.switch(MANAGEMENT_SWITCH)
    assert len(linked.write(request)) == 1
    linked.switch(MANAGEMENT_SWITCH, 0)
    assert linked.write(request) == []
    assert linked.exchange(ATT, struct.pack("<BHH", 0x12, MANAGEMENT_SWITCH, 1)) != [(ATT, b"\x13")], "it waited"


def test_the_specification_shows_these_handles() -> None:
    text = (Path(__file__).parents[2] / "docs/spec/ble.md").read_text(encoding="utf-8")
    table = text[text.index("## Services") : text.index("Handles may move")]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line[:3].strip("| ").isdigit() or line[2:3].isdigit()]
    shown = {tuple(int(handle) for handle in row[0].split(", ")): " ".join(row[1:]) for row in rows}
    assert sorted(handle for handles in shown for handle in handles) == list(range(1, LAST_HANDLE + 1))

    def in_words(uuid: bytes) -> str:
        return str(UUID(bytes=uuid[::-1])) if len(uuid) == 16 else f"{int.from_bytes(uuid, 'little'):04x}"

    for handle, (end, uuid) in SERVICES.items():
        assert in_words(uuid) in shown[handle,], handle
        assert end == handle or f"{handle} .. {end}" in shown[handle,], handle
    for handle, (_, value, uuid) in CHARACTERISTICS.items():
        assert in_words(uuid) in shown[handle, value], handle
