"""Management through the air: pieces of messages, sessions and policy, the bell, and the end of links."""

from __future__ import annotations

import struct

import cbor2
import pytest

from tests.firmware.program_process import DEVICE_ID, READ, WRITE, FirmwareProgram, message
from tests.support.ble_bench import (
    DISCONNECT,
    LE_READ_DATA_LENGTH,
    LE_SET_ADVERTISING,
    MANAGEMENT_SWITCH,
    RESET,
    TELEMETRY,
    TELEMETRY_SWITCH,
    BleBench,
    record_of,
)
from tinyfleet.smp.session import Handshake, Session
from tinyfleet_codegen.wire.ble import MESSAGE_GAP_S
from tinyfleet_codegen.wire.ids import Command
from tinyfleet_codegen.wire.messages import MESSAGES
from tinyfleet_codegen.wire.schema import Op
from tinyfleet_codegen.wire.session import SessionCommand

PSK = bytes(range(50, 82))
OS, IMAGE, TINYFLEET, SESSION = 0, 1, 64, 65
ACCESS_DENIED, NOT_SUPPORTED = 11, 8
OPEN_IN_THE_AIR = {"echo", "params", "hello", "session_open", "session_record", "session_status"}
FRAME_BYTES, FRAMES = 1024, 2
CHANNELS, WINDOW = 3, 8
NOT_OF_THIS = {"err": {"group": SESSION, "rc": 10}}
NO_SESSION = {"err": {"group": SESSION, "rc": 5}}
ECHO = message(WRITE, OS, 0, {"d": "x"}, sequence=7)
ECHOED = bytes.fromhex("0b 00 0005 0000 07 00 a1 61 72 61 78")


@pytest.fixture
def bench(program: FirmwareProgram) -> BleBench:
    bench = BleBench(program)
    bench.ready()
    return bench


def provision(bench: BleBench, *, lock: bool = False) -> None:
    """Over the wire, which is open."""
    assert bench.program.command(WRITE, SESSION, SessionCommand.PROVISION, {"psk": PSK, "lock": lock}) == {}


def open_session(bench: BleBench) -> Session:
    handshake = Handshake(PSK, DEVICE_ID)
    return handshake.finish(bench.smp(WRITE, SESSION, SessionCommand.OPEN, {"m": handshake.request})["m"])  # type: ignore[arg-type]


def raw_record(bench: BleBench, session: Session, request: bytes) -> dict[str, object]:
    """What the board says to a record in the air, as it is."""
    return bench.smp(WRITE, SESSION, SessionCommand.RECORD, dict(zip("nd", session.seal(request), strict=True)))


def sealed(bench: BleBench, session: Session, request: bytes) -> dict[str, object]:
    """Ask in a session in the air."""
    answer = cbor2.loads(bench.ask(record_of(*session.seal(request)))[8:])
    return cbor2.loads(session.open(answer["n"], answer["d"])[8:])  # type: ignore[no-any-return]


def wired(bench: BleBench, session: Session, request: bytes) -> dict[str, object]:
    """The same over the wire."""
    (reply,) = bench.program.exchange(record_of(*session.seal(request)))
    answer = cbor2.loads(reply[8:])
    return cbor2.loads(session.open(answer["n"], answer["d"])[8:])  # type: ignore[no-any-return]


# Pieces


def test_messages_come_in_pieces_of_any_size(bench: BleBench) -> None:
    for text_bytes in (0, 1, 200, 900):
        text = "abcdefghij" * (text_bytes // 10)
        for piece_bytes in (1, 7, 8, 9, 20, 244):
            assert bench.smp(WRITE, OS, 0, {"d": text}, piece_bytes=piece_bytes) == {"r": text}


@pytest.mark.parametrize("mtu", [23, 24, 100, 247])
def test_replies_are_cut_to_what_a_notification_carries(bench: BleBench, mtu: int) -> None:
    bench.set_mtu(mtu)
    pieces = bench.write(message(WRITE, OS, 0, {"d": "y" * (mtu - 20)}))
    assert b"".join(pieces)[8:] == cbor2.dumps({"r": "y" * (mtu - 20)})
    assert all(len(piece) == mtu - 3 for piece in pieces[:-1]) and len(pieces[-1]) <= mtu - 3


def test_two_messages_in_one_piece_are_two(bench: BleBench) -> None:
    assert bench.write(ECHO + ECHO + ECHO[:5]) == [ECHOED, ECHOED]
    assert bench.write(ECHO[5:]) == [ECHOED]


def test_requests_wait_for_the_reply_before(bench: BleBench) -> None:
    bench.keeps_credits = True
    long = message(WRITE, OS, 0, {"d": "z" * 900})
    for at in range(0, len(long), 244):
        bench.write(long[at : at + 244])
    assert bench.write(ECHO) == []
    before = len(bench.sent)
    for _ in range(8):
        bench.credit()
    assert b"".join(value[3:] for _, value in bench.sent[before - 4 :]).endswith(ECHOED)


def test_a_pause_ends_a_message_that_is_not_whole(bench: BleBench) -> None:
    assert bench.write(ECHO[:9]) == []
    bench.wait(MESSAGE_GAP_S * 0.9)
    assert bench.write(ECHO[9:]) == [ECHOED], "no pause yet"
    assert bench.write(ECHO[:9]) == []
    for _ in range(MESSAGE_GAP_S + 1):
        bench.wait(1.0)
        if bench.commands[-1][0] == LE_READ_DATA_LENGTH:
            bench.complete(LE_READ_DATA_LENGTH)
    assert bench.write(ECHO) == [ECHOED]


def test_what_is_too_much_is_lost_until_a_pause(bench: BleBench) -> None:
    assert bench.write(struct.pack(">BBHHBB", 8, 0, 60000, 0, 1, 0)) == []
    for _ in range(FRAMES * FRAME_BYTES // 244 + 2):
        assert bench.write(bytes(244)) == []
    assert bench.write(ECHO) == []
    for _ in range(MESSAGE_GAP_S + 1):
        bench.wait(1.0)
    assert bench.write(ECHO) == [ECHOED]


def test_as_many_requests_as_are_announced_may_be_under_way(bench: BleBench) -> None:
    assert bench.smp(READ, OS, 6, {}) == {"buf_size": FRAME_BYTES, "buf_count": FRAMES}
    bench.keeps_credits = True
    texts = [str(number) * (FRAME_BYTES - 20) for number in range(FRAMES)]
    for text in texts:
        request = message(WRITE, OS, 0, {"d": text})
        for at in range(0, len(request), 244):
            bench.write(request[at : at + 244])
    before = len(bench.sent)
    bench.keeps_credits = False
    for _ in range(40):
        bench.credit()
    replies = b"".join(value[3:] for _, value in bench.sent if value[0] == 0x1B)
    for text in texts:
        assert cbor2.dumps({"r": text}) in replies
    assert len(bench.sent) > before


def test_what_is_no_request_gets_no_answer(bench: BleBench) -> None:
    for nothing in (bytes([9, *ECHO[1:]]), bytes([12, *ECHO[1:]])):
        assert bench.write(nothing) == []
    assert bench.write(ECHO) == [ECHOED]


# Who may do what


def test_strangers_may_ask_who_it_is_and_nothing_else(bench: BleBench) -> None:
    counts = {"open": 0, "refused": 0}
    for entry in MESSAGES:
        answer = bench.smp(READ if entry.op is Op.READ else WRITE, entry.group, entry.command, {})
        if answer.get("rc") == NOT_SUPPORTED:
            continue
        is_open = entry.name in OPEN_IN_THE_AIR
        assert (answer.get("rc") == ACCESS_DENIED) == (not is_open), entry.name
        counts["open" if is_open else "refused"] += 1
    assert counts["open"] == len(OPEN_IN_THE_AIR) and counts["refused"] >= 30


def test_in_a_session_everything_is_allowed(bench: BleBench) -> None:
    provision(bench)
    session = open_session(bench)
    for request in (message(READ, IMAGE, 0, {}), message(READ, TINYFLEET, 4, {"since": 0, "max": 5}), message(READ, OS, 7, {})):
        assert "rc" not in sealed(bench, session, request)
    assert sealed(bench, session, message(READ, SESSION, SessionCommand.STATUS, {}))["session"] is True
    assert bench.smp(READ, IMAGE, 0, {}) == {"rc": ACCESS_DENIED}, "beside it"


def test_sessions_of_air_and_wire_do_not_know_each_other(bench: BleBench) -> None:
    provision(bench, lock=True)
    handshake = Handshake(PSK, DEVICE_ID)
    wire = handshake.finish(bench.program.command(WRITE, SESSION, SessionCommand.OPEN, {"m": handshake.request})["m"])
    stats = message(READ, TINYFLEET, 4, {"since": 0, "max": 5})
    assert "rc" not in wired(bench, wire, stats)
    air = open_session(bench)
    for _ in range(3):
        assert "rc" not in sealed(bench, air, stats)
        assert "rc" not in wired(bench, wire, stats)
    # A record of the one is none of the other.
    assert bench.smp(WRITE, SESSION, SessionCommand.RECORD, dict(zip("nd", wire.seal(stats), strict=True))) == NOT_OF_THIS
    assert "rc" not in wired(bench, wire, stats)
    bench.disconnect()
    bench.complete(LE_SET_ADVERTISING)
    assert "rc" not in wired(bench, wire, stats), "the air's end is not the wire's"
    assert wired(bench, wire, message(WRITE, SESSION, SessionCommand.CLOSE, {})) == {}
    bench.connect()
    bench.set_mtu(247)
    bench.switch(MANAGEMENT_SWITCH)
    assert raw_record(bench, air, stats) == NO_SESSION
    air = open_session(bench)
    assert "rc" not in sealed(bench, air, stats)
    assert sealed(bench, air, message(WRITE, SESSION, SessionCommand.CLOSE, {})) == {}
    assert raw_record(bench, air, stats) == NO_SESSION


def test_both_links_hold_a_session_and_an_offered_one_at_once(bench: BleBench) -> None:
    """The key store has room for all of them."""
    provision(bench)
    echo = message(WRITE, OS, 0, {"d": "x"})
    for _ in range(3):
        air = open_session(bench)
        assert sealed(bench, air, echo) == {"r": "x"}
        handshake = Handshake(PSK, DEVICE_ID)
        wire = handshake.finish(bench.program.command(WRITE, SESSION, SessionCommand.OPEN, {"m": handshake.request})["m"])
        assert wired(bench, wire, echo) == {"r": "x"}
        open_session(bench)
        assert "m" in bench.program.command(WRITE, SESSION, SessionCommand.OPEN, {"m": Handshake(PSK, DEVICE_ID).request})
        assert sealed(bench, air, echo) == {"r": "x"} == wired(bench, wire, echo)


def test_a_new_key_ends_the_sessions_of_all_links(bench: BleBench) -> None:
    provision(bench)
    session = open_session(bench)
    assert sealed(bench, session, ECHO) == {"r": "x"}
    provision(bench)
    assert raw_record(bench, session, ECHO) == NO_SESSION


def idle(bench: BleBench, seconds: int) -> list[int]:
    opcodes = []
    for _ in range(seconds):
        came = bench.wait(1.0)
        opcodes += came
        if came == [LE_READ_DATA_LENGTH]:
            bench.complete(LE_READ_DATA_LENGTH)
    return [opcode for opcode in opcodes if opcode != LE_READ_DATA_LENGTH]


def test_a_link_with_a_session_stays(bench: BleBench) -> None:
    provision(bench)
    session = open_session(bench)
    assert sealed(bench, session, ECHO) == {"r": "x"}
    assert idle(bench, 30) == []
    assert sealed(bench, session, message(WRITE, SESSION, SessionCommand.CLOSE, {})) == {}
    assert idle(bench, 9) == []
    assert idle(bench, 2) == [DISCONNECT]


def test_a_session_that_was_only_offered_does_not_count(bench: BleBench) -> None:
    provision(bench)
    open_session(bench)
    assert idle(bench, 11) == [DISCONNECT]


# After replies, and the end of links


def test_a_reset_waits_until_its_reply_was_sent(bench: BleBench) -> None:
    provision(bench)
    session = open_session(bench)
    bench.keeps_credits = True
    reset = record_of(*session.seal(message(WRITE, OS, 5, {})))
    assert len(bench.write(reset)) == 1
    assert bench.program.ask("R") == bytes(4)
    bench.credit(len(bench.acl_packets))
    assert int.from_bytes(bench.program.ask("R"), "little") == 1
    assert bench.feed(b"") == [RESET]


def test_what_follows_a_reply_is_done_when_the_link_ends_before(bench: BleBench) -> None:
    provision(bench)
    session = open_session(bench)
    bench.keeps_credits = True
    bench.write(record_of(*session.seal(message(WRITE, OS, 5, {}))))
    bench.disconnect()
    assert int.from_bytes(bench.program.ask("R"), "little") == 1


def test_nothing_of_a_link_reaches_the_next_one(bench: BleBench) -> None:
    bench.keeps_credits = True
    long = message(WRITE, OS, 0, {"d": "z" * 900})
    for _ in range(4):
        for at in range(0, len(long), 244):
            bench.write(long[at : at + 244])
    bench.write(ECHO[:4])
    bench.disconnect()
    bench.complete(LE_SET_ADVERTISING)
    bench.keeps_credits = False
    bench.connect()
    bench.set_mtu(247)
    before = len(bench.sent)
    bench.switch(MANAGEMENT_SWITCH)
    assert [value for _, value in bench.sent[before:]] == [b"\x13"]
    assert bench.write(ECHO) == [ECHOED]


# The bell


def replay(bench: BleBench, position: int) -> int:
    """One more window's samples of a recording; the position after it."""
    samples = bytes(2 * CHANNELS * WINDOW)
    reply = bench.program.command(WRITE, TINYFLEET, Command.REPLAY, {"stream": 3, "off": position, "data": samples})
    return int(reply["off"])


def test_the_bell_rings_for_who_holds_a_session_once_for_all_that_waits(bench: BleBench) -> None:
    provision(bench)
    bench.switch(TELEMETRY_SWITCH)

    def bells() -> list[bytes]:
        before = len(bench.sent)
        idle(bench, 1)
        return [value for _, value in bench.sent[before:]]

    position = replay(bench, 0)
    assert bells() == [], "a stranger"
    session = open_session(bench)
    before = len(bench.sent)
    assert sealed(bench, session, ECHO) == {"r": "x"}
    rung = [value for _, value in bench.sent[before:] if value[1:3] == bytes([TELEMETRY, 0])]
    assert rung + bells() == [bytes([0x1B, TELEMETRY, 0, 1])]
    assert bells() == []
    for _ in range(5):
        position = replay(bench, position)
    assert bells() == 2 * [bytes([0x1B, TELEMETRY, 0, 1])], "for the first at once, for the others together, later"
    assert bells() == []
    bench.switch(TELEMETRY_SWITCH, 0)
    replay(bench, position)
    assert bells() == []
