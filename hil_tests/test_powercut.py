"""Emulated boards whose power is cut at an operation of their flash; the campaign ``./run powercut`` does it hundreds of times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.powercut import KILLED
from tests.support.powercut.kills import FLOWS, TORN, KilledBoard, kill_and_check, sample_cuts

SEED = 20
KILLS = 6

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kills")


@pytest.mark.parametrize("flow", KILLED, ids=FLOWS.__getitem__)
def test_killed_board_goes_on_from_its_file(flow: int, folder: Path) -> None:
    print(f"seed {SEED}")
    board = KilledBoard(KILLED[flow](folder), flow, folder / f"{flow}.nvm")
    operations = board.start().operations
    for cut_at, how in sample_cuts(operations, KILLS, SEED):
        assert kill_and_check(board, cut_at, how) == [], (cut_at, how)
    assert kill_and_check(board, operations + 1, TORN) == ["the cut did not happen"]
