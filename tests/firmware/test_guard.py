"""The guard on this machine: what goes wrong comes back as a result, again and again."""

from __future__ import annotations

import struct
import sys

from tests.firmware.program_process import FirmwareProgram

OK, FAULT, OVERRUN = range(3)
RETURNS, TRAPS, WRITES_WILD, HANGS = range(4)
EXPECTED = {RETURNS: OK, TRAPS: FAULT, WRITES_WILD: FAULT, HANGS: OVERRUN}
BUDGET_MS = 20


def run(program: FirmwareProgram, kind: int) -> int:
    return int.from_bytes(program.ask("G", struct.pack("<BI", kind, BUDGET_MS)), "little")


def test_each_bad_end_comes_back_as_its_result_and_the_next_call_works(program: FirmwareProgram) -> None:
    kinds = [kind for kind in EXPECTED if kind != HANGS or sys.platform == "linux"]
    for _ in range(5):
        for kind in kinds:
            assert run(program, kind) == EXPECTED[kind], f"kind {kind}"
