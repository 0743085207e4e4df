"""The log of events: what it notes, and that neither resets nor floods lose it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.firmware.program_process import FirmwareProgram, message
from tests.support.model_board import A, B, ModelBoard
from tests.support.model_swap import good_package, with_wrong_golden, write_key
from tinyfleet.event_log import event_text
from tinyfleet.link.memory import NVM_BYTES
from tinyfleet_codegen.wire.events import ENTRY_BYTES, Event, EventKind, decode_events
from tinyfleet_codegen.wire.ids import Command, ModelPhase, SmpGroup
from tinyfleet_codegen.wire.nvm import Identity

READ, WRITE = 0, 2
ENTRIES = 32


@pytest.fixture
def board(program: FirmwareProgram) -> FirmwareProgram:
    program.power_on(Identity(bytes(range(16)), bytes(32)).encode().ljust(NVM_BYTES, b"\0"))
    return program


def log_of(board: FirmwareProgram) -> list[Event]:
    data = b""
    while len(data) < ENTRIES * ENTRY_BYTES:
        data += board.command(READ, SmpGroup.FS, 0, {"name": "/events", "off": len(data)})["data"]
    assert len(data) == ENTRIES * ENTRY_BYTES
    return decode_events(data)


def texts(events: list[Event]) -> list[str]:
    return [event_text(event) for event in events]


def test_it_begins_with_the_boot_and_goes_on_over_resets(board: FirmwareProgram) -> None:
    assert texts(log_of(board)) == ["boot after power on"]
    board.command(WRITE, SmpGroup.SETTINGS, 0, {"name": "place", "val": b"hall"})
    board.command(WRITE, SmpGroup.OS, 0, {"d": "an echo changes nothing"})
    board.command(READ, SmpGroup.SETTINGS, 0, {"name": "nowhere"})
    board.command(WRITE, SmpGroup.OS, 5, {})
    events = log_of(board)
    assert texts(events) == [
        "boot after power on",
        "setting_write over wire: ok",
        "reset over wire: ok",
        "boot after reset, 1 resets since power-on",
    ]
    assert [event.number for event in events] == [0, 1, 2, 3] and events[-1].boot_id == events[0].boot_id + 1


def test_after_fifty_days_it_does_not_begin_anew(board: FirmwareProgram) -> None:
    for wait_ms, shown_ms in ((2**32 - 2, 2**32 - 2), (1000, 2**32 - 1), (10 * 86400 * 1000, 2**32 - 1)):
        board.ask("A", struct.pack("<Q", 1000 * wait_ms))
        board.command(WRITE, SmpGroup.SETTINGS, 0, {"name": "place", "val": b"hall"})
        assert [event.uptime_ms for event in log_of(board)] == [0, shown_ms]


def test_models_leave_their_traces(board: FirmwareProgram, tmp_path: Path) -> None:
    key = write_key(tmp_path)
    a, b = good_package(A, "host", key), good_package(B, "host", key)
    models = ModelBoard(board)
    models.swap(a)
    models.prove(with_wrong_golden(b, key))
    assert models.status(Command.MODEL_CONFIRM).name == "ERR_STATE"
    models.ask(Command.MODEL_REVERT)
    found = texts(log_of(board))
    assert any(text.startswith("model_upload over wire: ok (") for text in found)
    wanted = iter(found)
    for text in (
        "model_test over wire: ok",
        "model in slot 0 ready",
        "model_confirm over wire: ok",
        "model in slot 0 live, generation 2",
        "model in slot 1 refused: ERR_GOLDEN",
        "model_confirm over wire: TYF_ERR_STATE",
        "model_revert over wire: ok",
    ):
        assert text in wanted, f"{text} in its order: {found}"


def test_a_flood_of_one_kind_takes_one_entry_and_the_oldest_go_first(board: FirmwareProgram) -> None:
    request = message(WRITE, SmpGroup.SETTINGS, 1, {"name": "\x00" * 40})
    for _ in range(300):
        board.exchange(request)
    events = log_of(board)
    assert len(events) == 2 and events[1].repeats == 299
    for number in range(40):
        board.command(WRITE, SmpGroup.SETTINGS, number % 2, {"name": "x", "val": b"y"})
    events = log_of(board)
    assert len(events) == ENTRIES and [event.number for event in events] == [*range(10, 42)]


def test_what_is_damaged_does_not_count_and_unknown_kinds_stay() -> None:
    entry = Event(7, 1, 1000, EventKind.MODEL, 0, 0, 1 << 8 | ModelPhase.READY, 0, 0)
    strange = Event(6, 1, 1000, 200, 9, 3, 77, 5, -3)
    data = entry.encode() + b"\xa5" * ENTRY_BYTES + strange.encode()
    assert decode_events(data + b"tail") == [strange, entry]
    assert event_text(strange) == "kind 200: 77 5 -3 (4 times)"
    for bit in range(8 * ENTRY_BYTES):
        damaged = bytearray(entry.encode())
        damaged[bit // 8] ^= 1 << bit % 8
        assert decode_events(bytes(damaged)) == []
