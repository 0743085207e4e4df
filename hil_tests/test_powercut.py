"""Emulated boards whose power is cut at an operation of their flash; the campaign ``./run powercut`` does it hundreds of times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.powercut import KILLED
from tests.support.powercut.kills import BOARD, TORN, KilledBoard, sample_cuts
from tests.support.powercut.model_kills import KilledModels

SEED = 20
KILLS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kills")


# The sensor application is built for its own; its models are swapped under cuts on the host in every run.
@pytest.mark.parametrize(
    ("board", "make"),
    [
        pytest.param(board, make, marks=pytest.mark.full if make is KilledModels or board != BOARD else ())
        for board, flows in KILLED.items()
        for make in flows
    ],
)
def test_killed_board_goes_on_from_its_file(board: str, make: Callable[[Path, str], KilledBoard], folder: Path) -> None:
    print(f"seed {SEED}")
    killed = make(folder, board)
    operations = killed.start().operations
    for cut_at, how in sample_cuts(operations, KILLS, SEED):
        assert killed.kill_and_check(cut_at, how) == [], (cut_at, how)
    assert killed.kill_and_check(operations + 1, TORN) == ["the cut did not happen"]
