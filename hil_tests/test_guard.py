"""The guard, live inference above management, and crash records, on every emulated core.

The program is ``tests/support/guard_program``. That these tests can fail is shown by ``test_guard_mutations.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.guard_board import BOARDS, SANDBOXED, GuardBoard, build_guard_program, numbers
from tinyfleet.crash import explain_crash, firmware_hash
from tinyfleet_codegen.wire.crash import CONTEXT_LIVE, CONTEXT_THREAD, CONTEXT_UNKNOWN, CrashRecord, CrashWhy, decode_crash

PERIOD_US = 10_000
FREE_IRQ = 22
EVERYWHERE = {
    *("RETURNS", "LONG_BUT_IN_TIME", "ARENA_TO_ITS_EDGES", "UDF", "BUS", "THUMB_STATE", "REGISTERS_AND_UDF", "STACK_OVERFLOW"),
    *("MASKED_AND_UDF", "SUPERVISOR_CALL", "HANG", "FP_AND_HANG", "OVERRUN"),
}
"""Candidates that a core without any protection survives."""
WITH_FAULTS = {"DIVISION_BY_ZERO", "NVM_WRITE", "FP_AND_STACK_OVERFLOW", "SP_BAD"}
IN_SANDBOX = {"WRITE_WILD", "WRITE_BELOW_ARENA", "WRITE_ABOVE_ARENA", "WRITE_HANDLE", "WRITE_DEVICE", "MASKED_AND_HANG"}


def expected_runs(board: str) -> set[tuple[str, str]]:
    """(candidate, plain or sandboxed) that must run on this board."""
    plain = EVERYWHERE | (WITH_FAULTS if board in SANDBOXED else set())
    if board == "mps3_an547":  # It has predicated instructions, and a machine that answers at every address.
        plain = (plain | {"PREDICATED_FAULT"}) - {"BUS"}
    sandboxed = plain | IN_SANDBOX if board in SANDBOXED else set()
    return {(name, "plain") for name in plain} | {(name, "sandboxed") for name in sandboxed}


BuildProgram = Callable[[str], Path]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> BuildProgram:
    """The program per board, built once."""
    folder = tmp_path_factory.mktemp("guard")

    @cache
    def build(board: str) -> Path:
        return build_guard_program(board, folder)

    return build


@pytest.fixture
def start(program: BuildProgram, tmp_path: Path) -> Callable[[str], GuardBoard]:
    """Boots a board with it."""
    return lambda board: GuardBoard(board, program(board), tmp_path / "board.nvm")


@pytest.mark.parametrize("board", BOARDS)
def test_every_candidate_ends_as_it_must_and_leaves_no_trace(board: str, start: Callable[[str], GuardBoard]) -> None:
    with start(board) as running:
        *runs, end = running.ask("k")
        assert {(words[0], words[1]) for words in map(str.split, runs)} == expected_runs(board)
        assert numbers(end) == {"unexpected": 0, "left_over": 0, "damaged": 0}, runs
        # Candidates back to back, 1 M instructions of management between, and a quarter of the time is live inference.
        (line,) = running.ask("l", 10)
        found = numbers(line)
        assert (found["unexpected"], found["damaged"], found["left_over"], found["late"], found["wrong"]) == (0, 0, 0, 0, 0), line
        assert found["answers"] > 100
        assert PERIOD_US - 50 <= found["min_gap_us"] <= found["max_gap_us"] <= PERIOD_US + 50, line
        # The same guard, of the two contexts at once.
        (line,) = running.ask("g", 20)
        found = numbers(line)
        assert (found["unexpected"], found["damaged"], found["left_over"], found["lost_fp"], found["wrong"]) == (0, 0, 0, 0, 0), line
        assert found["guarded"] > 80 and found["max_gap_us"] < PERIOD_US + 4_500  # A hang costs its budget of 3 ms, and a tick.


def crash(running: GuardBoard, letter: str) -> CrashRecord:
    """Let it crash; the record that its next start finds, once."""
    assert running.ask(letter) == ["again"]
    (line,) = running.ask("r")
    record = decode_crash(bytes.fromhex(line.partition("record=")[2].strip()))
    assert record is not None, line
    (line,) = running.ask("r")
    assert line.endswith("record=")
    return record


CRASHES = {
    "F": (CrashWhy.FAULT, CONTEXT_THREAD, "crash"),
    "A": (CrashWhy.ASSERT, CONTEXT_THREAD, "crash"),
    "S": (CrashWhy.STACK, CONTEXT_THREAD, None),
    "I": (CrashWhy.FAULT, 16 + FREE_IRQ, None),
    "f": (CrashWhy.FAULT, CONTEXT_LIVE, "answer"),
    "h": (CrashWhy.HANG, CONTEXT_LIVE, "answer"),
    "s": (CrashWhy.STACK, CONTEXT_UNKNOWN, None),
    "W": (CrashWhy.WATCHDOG, CONTEXT_THREAD, "hang_masked"),
    "w": (CrashWhy.WATCHDOG, CONTEXT_LIVE, "hang_masked"),
}
"""Letter of a crash -> why, in which context, in which function."""


def crashes_of(board: str) -> str:
    """Those that a board can see: without protection no stack that runs over, and the micro:bit's emulator has no watchdog."""
    watchdog = "" if board == "microbit" else "Ww"
    return "FAIfh" + watchdog + ("Ss" if board in SANDBOXED else "")


# The watchdog's 80 s take seconds to emulate.
@pytest.mark.parametrize(
    ("board", "letters"),
    [(board, crashes_of(board) if board == "mps2_an386" else crashes_of(board).replace("Ww", "")) for board in BOARDS]
    + [pytest.param(board, "Ww", marks=pytest.mark.full) for board in BOARDS if board not in ("microbit", "mps2_an386")],
)
def test_a_crash_leaves_a_record_that_names_its_place(
    board: str, letters: str, start: Callable[[str], GuardBoard], program: BuildProgram
) -> None:
    elf = program(board)
    with start(board) as running:
        for resets, letter in enumerate(letters):
            record = crash(running, letter)
            why, context, function = CRASHES[letter]
            assert (CrashWhy(record.why), record.context, record.resets) == (why, context, resets), letter
            assert record.firmware_hash == firmware_hash(elf)
            assert (record.model_id[:4], record.model_generation) == (b"\xaa\x01\x02\x03", 3)
            report = explain_crash(record, elf)
            assert (report.place.function if report.place else None) == function, letter
            if report.place:
                assert report.place.file.endswith("guard_program/main.c")
                source = Path(report.place.file).read_text(encoding="utf-8").splitlines()[report.place.line - 1]
                assert ("TYF_ASSERT" if letter == "A" else "__asm") in source
            if letter == "f":
                assert report.caller is not None and report.caller.function == "run"
