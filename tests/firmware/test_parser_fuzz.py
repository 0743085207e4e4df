"""Damaged bytes by the ten thousand into every C parser; a million each in ``tests/campaigns/fuzz_firmware.py``."""

from __future__ import annotations

import secrets

import pytest

from tests.firmware.program_process import FirmwareProgram
from tests.support.firmware_fuzz import PARSERS, Parser, prepare

ROUNDS = {"SMP server": 20_000, "NVM image": 10_000, "benchmark command": 30_000, "model store": 8_000}
OTHER_ROUNDS = 100_000


@pytest.mark.parametrize("seed", [1, None], ids=["fixed", "fresh"])
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_damaged_bytes_never_break_a_parser(program: FirmwareProgram, parser: Parser, seed: int | None) -> None:
    rounds = ROUNDS.get(parser.name, OTHER_ROUNDS)
    seed = secrets.randbelow(2**31) if seed is None else seed
    print(f"seed {seed}")
    prepare(program)
    accepted = parser.run(program, seed, rounds)
    if parser.name != "benchmark command":
        assert rounds // 50 < accepted < rounds, "damage should reach what is behind the first checks, but not only leave bytes whole"
