"""The Bluetooth stack below ATT: bringing a controller up, keeping it, links, credits, fragments, signalling, pairing."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

import pytest

from tests.firmware.program_process import DEVICE_ID, FirmwareProgram
from tests.support.ble_bench import (
    ATT,
    BRING_UP,
    DISCONNECT,
    EVENT,
    HANDLE,
    LE_ACCEPT_PARAMETERS,
    LE_READ_BUFFER_SIZE,
    LE_READ_DATA_LENGTH,
    LE_REFUSE_KEY,
    LE_SET_ADVERTISING,
    LE_SET_ADVERTISING_DATA,
    LE_SET_ADVERTISING_PARAMETERS,
    LE_SET_EVENT_MASK,
    LE_SET_RANDOM_ADDRESS,
    LE_WRITE_DATA_LENGTH,
    MANAGEMENT_SWITCH,
    PAIRING,
    READ_BUFFER_SIZE,
    RESET,
    SET_EVENT_MASK,
    SIGNALLING,
    BleBench,
    acl,
    completed,
    event,
    pdu,
    status,
)
from tinyfleet_codegen.wire.ble import MANAGEMENT_SERVICE_UUID, name_of

READ_NAME = bytes.fromhex("0a0300")
NAME = b"\x0b" + name_of(DEVICE_ID).encode()


@pytest.fixture
def bench(program: FirmwareProgram) -> BleBench:
    return BleBench(program)


@pytest.fixture
def linked(bench: BleBench) -> BleBench:
    bench.bring_up()
    bench.connect()
    return bench


# Bringing up


def test_the_controller_is_brought_up_one_command_at_a_time(bench: BleBench) -> None:
    assert bench.bring_up() == BRING_UP
    parameters = dict(bench.commands)
    assert parameters[SET_EVENT_MASK].hex() == "1080000000000020"
    assert parameters[LE_SET_EVENT_MASK].hex() == "3100000000000000"
    assert parameters[LE_WRITE_DATA_LENGTH] == struct.pack("<HH", 251, 2121)
    address = bytearray(hashlib.sha256(DEVICE_ID).digest()[:6])
    address[5] |= 0xC0
    assert parameters[LE_SET_RANDOM_ADDRESS] == address
    assert parameters[LE_SET_ADVERTISING_PARAMETERS] == struct.pack("<HHBBB6sBB", 160, 240, 0, 1, 0, bytes(6), 7, 0)
    name = name_of(DEVICE_ID).encode()
    data = b"\x02\x01\x06\x11\x07" + MANAGEMENT_SERVICE_UUID.bytes[::-1] + b"\x09\x09" + name
    assert parameters[LE_SET_ADVERTISING_DATA] == bytes([31]) + data and len(data) == 31
    assert parameters[LE_SET_ADVERTISING] == b"\x01"


def test_reset_is_repeated_until_somebody_answers(bench: BleBench) -> None:
    assert bench.power_on() == [RESET]
    seen = [second for second in range(1, 30) if bench.wait(1.0) == [RESET]]
    assert seen == [1, 2, 3, 4, 8, 12, 16, 20, 24, 28]
    assert bench.complete(RESET) == [SET_EVENT_MASK]
    assert bench.feed(completed(RESET) * 3) == [], "answers to the resets before"


@pytest.mark.parametrize(
    "opcode", [RESET, LE_SET_RANDOM_ADDRESS, LE_SET_ADVERTISING_PARAMETERS, LE_SET_ADVERTISING_DATA, LE_SET_ADVERTISING]
)
def test_what_cannot_be_done_without_is_tried_again(bench: BleBench, opcode: int) -> None:
    bench.answers[opcode] = b"\x0c"
    assert bench.bring_up() == BRING_UP[: BRING_UP.index(opcode) + 1]
    assert bench.wait(0.9) == [] and bench.wait(0.1) == [RESET]
    bench.answers.clear()
    assert bench.bring_up() == BRING_UP


@pytest.mark.parametrize("opcode", [SET_EVENT_MASK, LE_SET_EVENT_MASK, LE_WRITE_DATA_LENGTH, LE_READ_DATA_LENGTH])
@pytest.mark.parametrize("how", [completed, status])
def test_what_can_be_done_without_may_be_unknown(bench: BleBench, opcode: int, how: Callable[[int, object], bytes]) -> None:
    todo = bench.power_on()
    seen = []
    while todo:
        (wanted,) = todo
        seen.append(wanted)
        todo = bench.complete(wanted) if wanted != opcode else bench.feed(how(opcode, 1 if how is status else b"\x01"))
    assert seen == BRING_UP


def test_buffers_that_le_shares_are_asked_for(bench: BleBench) -> None:
    bench.answers[LE_READ_BUFFER_SIZE] = struct.pack("<BHB", 0, 0, 0)
    seen = bench.bring_up()
    assert seen == [*BRING_UP[:4], READ_BUFFER_SIZE, *BRING_UP[4:]]
    bench.connect()
    assert bench.att(READ_NAME) == NAME
    bench.answers[READ_BUFFER_SIZE] = struct.pack("<BHBHH", 0, 0, 0, 0, 0)
    assert bench.bring_up() == [*BRING_UP[:4], READ_BUFFER_SIZE]


def test_no_command_is_sent_before_the_controller_takes_one(bench: BleBench) -> None:
    bench.power_on()
    assert bench.feed(completed(RESET, allowed=0)) == []
    assert bench.feed(event(0x0E, bytes([0, 0, 0]))) == []
    assert bench.feed(event(0x0E, bytes([1, 0, 0]))) == [SET_EVENT_MASK]


def test_a_controller_that_takes_no_command_for_long_is_begun_again_with(bench: BleBench) -> None:
    bench.bring_up()
    assert bench.feed(event(0x0E, bytes([0, 0, 0]))) == []
    assert [bench.wait(1.0) for _ in range(4)] == [[], [], [], [RESET]]


def test_short_and_unknown_events_are_nothing(linked: BleBench) -> None:
    for code in (0x05, 0x0E, 0x0F, 0x13, 0x3E, 0x03, 0x1A, 0xFF):
        for size in (0, 1, 2, 3, 255):
            if (code, size) != (0x05, 255):
                assert linked.feed(event(code, bytes(size))) == []
    assert linked.att(READ_NAME) == NAME


# Keeping it


def test_silence_is_broken_every_two_seconds_and_costs_nothing_else(bench: BleBench) -> None:
    bench.bring_up()
    for _ in range(5):
        assert bench.wait(1.0) == []
        assert bench.wait(1.0) == [LE_READ_DATA_LENGTH]
        assert bench.complete(LE_READ_DATA_LENGTH) == []


def test_a_controller_that_forgot_us_is_brought_up_again(linked: BleBench) -> None:
    linked.wait(1.0)
    assert linked.wait(1.0) == [LE_READ_DATA_LENGTH]
    linked.data_length = struct.pack("<HH", 27, 328)
    assert linked.complete(LE_READ_DATA_LENGTH) == [RESET]
    assert linked.exchange(ATT, READ_NAME) == [], "the link went with it"


def test_a_controller_that_is_gone_is_asked_for_until_it_is_there(linked: BleBench) -> None:
    linked.wait(1.0)
    assert linked.wait(1.0) == [LE_READ_DATA_LENGTH]
    assert [linked.wait(1.0) for _ in range(4)] == [[], [], [], [RESET]]
    assert linked.wait(1.0) == [RESET]


def test_time_in_which_nobody_looked_is_not_held_against_the_controller(bench: BleBench) -> None:
    bench.bring_up()
    bench.wait(1.0)
    assert bench.wait(60.0) == [LE_READ_DATA_LENGTH]
    assert bench.wait(60.0) == [], "one second of patience is gone"


@pytest.mark.parametrize("trouble", [event(0x10, b"\x42"), b"\x00", b"\x55", b"\x01\x03\x0c\x00"])
def test_hardware_errors_and_lost_bytes_begin_again(linked: BleBench, trouble: bytes) -> None:
    assert linked.feed(trouble)[0] == RESET
    assert linked.exchange(ATT, READ_NAME) == []


def test_noise_before_the_first_answer_is_nothing(bench: BleBench) -> None:
    bench.power_on()
    assert bench.feed(b"*** Booting ***\r\n") == []
    assert bench.complete(RESET) == [SET_EVENT_MASK]


# Links


@pytest.mark.parametrize("enhanced", [False, True])
def test_after_a_link_the_board_advertises_again(bench: BleBench, enhanced: bool) -> None:
    bench.bring_up()
    for _ in range(3):
        bench.connect(enhanced=enhanced)
        assert bench.att(READ_NAME) == NAME
        assert bench.disconnect() == [LE_SET_ADVERTISING]
        assert bench.complete(LE_SET_ADVERTISING) == []
        assert bench.exchange(ATT, READ_NAME) == []


def test_a_connection_that_failed_is_none(bench: BleBench) -> None:
    bench.bring_up()
    bench.connect(error=0x3E)
    assert bench.exchange(ATT, READ_NAME) == []
    assert bench.commands[-1][0] == LE_SET_ADVERTISING
    bench.complete(LE_SET_ADVERTISING)
    bench.connect(role=0)
    assert bench.exchange(ATT, READ_NAME) == []


def test_the_end_of_another_link_is_not_ours(linked: BleBench) -> None:
    assert linked.feed(event(0x05, struct.pack("<BHB", 0, HANDLE + 1, 0x13))) == []
    assert linked.feed(event(0x05, struct.pack("<BHB", 0x02, HANDLE, 0x13))) == []
    assert linked.att(READ_NAME) == NAME


def test_a_link_that_stays_a_stranger_is_ended_after_ten_seconds(linked: BleBench) -> None:
    opcodes = []
    for _ in range(10):
        opcodes += linked.wait(1.0)
        if opcodes[-1:] == [LE_READ_DATA_LENGTH]:
            linked.complete(LE_READ_DATA_LENGTH)
    assert opcodes.count(DISCONNECT) == 1 and opcodes[-1] == DISCONNECT
    assert linked.commands[-1] == (DISCONNECT, struct.pack("<HB", HANDLE, 0x13))
    assert linked.feed(status(DISCONNECT, 0)) == []
    assert linked.disconnect(0x16) == [LE_SET_ADVERTISING]


def seconds_until_dropped(bench: BleBench) -> int:
    """As a stranger."""
    for second in range(1, 20):
        opcodes = bench.wait(1.0)
        if opcodes == [DISCONNECT]:
            for opcode in bench.feed(status(DISCONNECT, 0)):
                bench.complete(opcode)
            assert bench.disconnect(0x16) == [LE_SET_ADVERTISING]
            bench.complete(LE_SET_ADVERTISING)
            return second
        if opcodes:
            assert opcodes == [LE_READ_DATA_LENGTH] and bench.complete(LE_READ_DATA_LENGTH) == []
    raise AssertionError("never")


def test_strangers_that_come_again_and_again_stay_shorter(linked: BleBench) -> None:
    """Each drop is a turn for others: one in 10 s is little when a stranger connects again at once."""
    seen = [seconds_until_dropped(linked)]
    for _ in range(3):
        linked.connect()
        seen.append(seconds_until_dropped(linked))
    assert seen == [10, 4, 4, 4]
    linked.connect()
    linked.wait(1.0)  # one that asked and left by itself
    linked.disconnect()
    linked.complete(LE_SET_ADVERTISING)
    linked.connect()
    assert seconds_until_dropped(linked) == 10


def test_patience_is_the_same_when_the_clock_wraps(bench: BleBench) -> None:
    """It counts microseconds in 32 bits, 71 minutes."""
    bench.bring_up()
    for second in range(4292):
        opcodes = bench.wait(1.0)
        assert opcodes == ([LE_READ_DATA_LENGTH] if second % 2 else []), second
        if opcodes:
            assert bench.complete(LE_READ_DATA_LENGTH) == []
    bench.connect()
    assert seconds_until_dropped(bench) == 10
    for _ in range(2):
        assert [bench.wait(1.0), bench.wait(1.0)] == [[], [LE_READ_DATA_LENGTH]]
        bench.complete(LE_READ_DATA_LENGTH)


def test_keys_are_refused_and_parameters_accepted(linked: BleBench) -> None:
    assert linked.feed(event(0x3E, struct.pack("<BH8sH", 5, HANDLE, bytes(8), 0))) == [LE_REFUSE_KEY]
    assert linked.commands[-1][1] == struct.pack("<H", HANDLE)
    linked.feed(completed(LE_REFUSE_KEY, struct.pack("<BH", 0, HANDLE)))
    wanted = struct.pack("<HHHH", 24, 40, 0, 72)
    assert linked.feed(event(0x3E, struct.pack("<BH", 6, HANDLE) + wanted)) == [LE_ACCEPT_PARAMETERS]
    assert linked.commands[-1][1] == struct.pack("<H", HANDLE) + wanted + bytes(4)
    linked.feed(completed(LE_ACCEPT_PARAMETERS, struct.pack("<BH", 0, HANDLE)))
    for other in (event(0x3E, struct.pack("<BH8sH", 5, HANDLE + 1, bytes(8), 0)), event(0x3E, struct.pack("<BH", 6, HANDLE))):
        assert linked.feed(other) == []


# Credits and fragments


@pytest.mark.parametrize("buffer_bytes", [27, 28, 100, 251, 2000])
def test_messages_are_cut_to_the_controllers_buffers(bench: BleBench, buffer_bytes: int) -> None:
    bench.buffer_bytes = buffer_bytes
    bench.bring_up()
    bench.connect()
    bench.set_mtu(247)
    (answer,) = bench.exchange(ATT, bytes.fromhex("10 0100 ffff 0028"))
    assert answer[1][0] == 0x11
    bench.exchange(ATT, bytes.fromhex("0a 1500"))
    sizes = [len(packet) - 5 for packet in bench.acl_packets[-2:]]
    assert sizes == ([27, 10] if buffer_bytes == 27 else [28, 9] if buffer_bytes == 28 else [sizes[0], 37])


def test_no_packet_is_sent_into_a_buffer_that_is_not_free(bench: BleBench) -> None:
    bench.buffer_bytes, bench.buffers, bench.keeps_credits = 27, 2, True
    bench.bring_up()
    bench.connect()
    bench.set_mtu(247)
    bench.credit()
    before = len(bench.acl_packets)
    bench.exchange(ATT, READ_NAME)
    bench.exchange(ATT, bytes.fromhex("0a 1500"))
    assert len(bench.acl_packets) == before + 2, "the name, and the beginning of the serial number"
    bench.wait(0.5)
    assert len(bench.acl_packets) == before + 2
    bench.feed(event(0x13, struct.pack("<BHH", 1, HANDLE + 1, 2)))
    assert len(bench.acl_packets) == before + 2, "another link's"
    bench.credit()
    assert len(bench.acl_packets) == before + 3 and bench.sent[-1][1] == b"\x0b" + DEVICE_ID.hex().encode()
    bench.feed(event(0x13, struct.pack("<BHH", 1, HANDLE, 60000)))
    for _ in range(5):
        bench.exchange(ATT, READ_NAME)
    assert len(bench.acl_packets) == before + 5, "more came back than were there: there are two for all that"


def test_a_new_link_has_all_buffers(bench: BleBench) -> None:
    bench.buffers, bench.keeps_credits = 2, True
    bench.bring_up()
    for _ in range(3):
        bench.connect()
        for _ in range(4):
            bench.exchange(ATT, READ_NAME)
        bench.disconnect()
        bench.complete(LE_SET_ADVERTISING)
    assert len(bench.acl_packets) == 6


def test_fragments_of_every_size_are_put_together(linked: BleBench) -> None:
    request = pdu(ATT, READ_NAME)
    for first in range(len(request) + 1):
        for second in range(first, len(request) + 1):
            before = len(linked.sent)
            linked.feed(acl(request[:first]))
            linked.feed(acl(request[first:second], first=False))
            linked.feed(acl(request[second:], first=False))
            assert [data for _, data in linked.sent[before:]] == [NAME], (first, second)
            linked.credit()


def test_fragments_that_do_not_fit_together_are_dropped(linked: BleBench) -> None:
    request = pdu(ATT, READ_NAME)
    for trouble in (
        acl(request, first=False),  # a rest without a beginning
        acl(request[:5]) + acl(request[5:] + b"\0", first=False),  # more than it says
        acl(request + b"\0"),
        acl(request, handle=HANDLE + 1),
        acl(b""),
        acl(request[:3]),
        acl(pdu(ATT, b"")),
        acl(pdu(ATT, READ_NAME)[:-1]),
        acl(pdu(3, READ_NAME)),
        acl(struct.pack("<HH", 60000, ATT) + bytes(200)) + acl(bytes(200), first=False) * 5,
    ):
        before = len(linked.sent)
        linked.feed(trouble)
        assert linked.sent[before:] == [], trouble.hex()
        assert linked.att(READ_NAME) == NAME


def test_byte_by_byte_is_the_same_as_whole(program: FirmwareProgram) -> None:
    def run(cut: Callable[[bytes], list[bytes]] | None) -> tuple[object, ...]:
        bench = BleBench(program, cut=cut)
        bench.ready()
        bench.smp(2, 0, 0, {"d": "x" * 600})
        bench.exchange(SIGNALLING, bytes.fromhex("14 01 0a00 8000 4000 1700 1700 0a00"))
        bench.exchange(PAIRING, bytes.fromhex("01 03 00 01 10 07 07"))
        bench.feed(event(0x3E, struct.pack("<BH8sH", 5, HANDLE, bytes(8), 0)))
        return bench.commands, bench.acl_packets, bench.sent

    whole = run(None)
    assert run(lambda data: [data[i : i + 1] for i in range(len(data))] or [b""]) == whole
    assert run(lambda data: [data[i : i + 7] for i in range(0, len(data), 7)] or [b""]) == whole


# Signalling and pairing


def test_signals_are_answered_and_answers_are_not(linked: BleBench) -> None:
    connect = bytes.fromhex("14 07 0a00 8000 4000 1700 1700 0a00")
    assert linked.exchange(SIGNALLING, connect) == [(SIGNALLING, bytes.fromhex("15 07 0a00 0000 0000 0000 0000 0200"))]
    for code in (0x02, 0x06, 0x0A, 0x12, 0x16, 0x17, 0x19, 0xFF):
        assert linked.exchange(SIGNALLING, bytes([code, 9, 0, 0])) == [(SIGNALLING, bytes([1, 9, 2, 0, 0, 0]))]
    for answer in (bytes([1, 1, 2, 0, 0, 0]), bytes([0x13, 1, 2, 0, 0, 0]), b"\x14", b"\x14\x01\x00"):
        assert linked.exchange(SIGNALLING, answer) == []


def test_pairing_is_refused_and_the_link_stays(linked: BleBench) -> None:
    assert linked.exchange(PAIRING, bytes.fromhex("01 03 00 01 10 07 07")) == [(PAIRING, b"\x05\x05")]
    assert linked.exchange(PAIRING, b"\x03" + bytes(16)) == [(PAIRING, b"\x05\x07")]
    assert linked.exchange(PAIRING, b"\x05\x08") == []
    assert linked.att(READ_NAME) == NAME


def test_answers_of_all_protocols_wait_side_by_side(bench: BleBench) -> None:
    bench.buffers, bench.keeps_credits = 1, True
    bench.bring_up()
    bench.connect()
    bench.exchange(ATT, READ_NAME)
    requests = [(PAIRING, b"\x01" + bytes(6)), (ATT, bytes.fromhex("0a0500")), (SIGNALLING, bytes([0x16, 9, 0, 0]))]
    for channel, request in requests * 2:
        assert bench.exchange(channel, request) == [], "the second of each finds no room"
    for _ in range(5):
        bench.credit()
    assert [channel for channel, _ in bench.sent] == [ATT, SIGNALLING, PAIRING, ATT]


def test_switches_end_with_their_link(linked: BleBench) -> None:
    linked.switch(MANAGEMENT_SWITCH)
    assert linked.att(bytes([0x0A, MANAGEMENT_SWITCH, 0])) == b"\x0b\x01\x00"
    linked.disconnect()
    linked.complete(LE_SET_ADVERTISING)
    linked.connect()
    assert linked.att(bytes([0x0A, MANAGEMENT_SWITCH, 0])) == b"\x0b\x00\x00"


def test_a_board_without_identity_stays_off_the_air(program: FirmwareProgram) -> None:
    program.power_on(bytes([0xFF]) * 16384)
    assert program.ask("H") == b""
    assert EVENT == 4
