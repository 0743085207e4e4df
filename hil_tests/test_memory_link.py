"""The firmware compiled for this machine, behind ``memory://``: the same program, without an emulator."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from hil_tests.conftest import CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, StartBoard
from tinyfleet.device import SyncDevice, connect
from tinyfleet_codegen.wire.record import decode_record

WINDOWS = 20
SAMPLES = np.random.default_rng(7).integers(-2000, 2000, (WINDOW_SAMPLES + (WINDOWS - 1) * HOP_SAMPLES, CHANNELS)).astype(np.int16)


def outputs(device: SyncDevice) -> list[bytes]:
    """Replay a recording; the output of every window of it."""
    device.replay(3, SAMPLES)
    records: list[bytes] = []
    while pulled := device.results(len(records), 100).records:
        records += pulled
    return [decode_record(record).output for record in records]


def url(model_dir: Path, nvm: Path | None = None) -> str:
    return "memory://?" + urlencode({"model": model_dir, **({"nvm": nvm} if nvm else {})})


def test_board_in_memory_computes_what_the_emulated_one_does(model_dir: Path, start_board: StartBoard) -> None:
    with connect(url(model_dir)) as host, connect(start_board().url) as board:
        on_host = outputs(host)
        assert on_host == outputs(board)
        assert len(on_host) == WINDOWS
        assert host.self_infer(5, 0, 40) == board.self_infer(5, 0, 40)
        assert host.self_infer_layers(5, 3) == board.self_infer_layers(5, 3)
        window = np.arange(WINDOW_SAMPLES * CHANNELS, dtype=np.int8).tobytes()
        assert host.infer(window) == board.infer(window) == window
        assert (host.hello().board, board.hello().board) == ("host", "mps2_an386")


def test_boards_in_memory_are_apart_and_keep_their_nvm(model_dir: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.nvm"
    with connect(url(model_dir, kept)) as first, connect(url(model_dir)) as second:
        outputs(first)
        assert second.results(0, 10).records == ()
        assert first.hello().device_id != second.hello().device_id
        identity = first.hello().device_id
        first.reset()
        assert first.hello().boot_id == 2
    with connect(url(model_dir, kept)) as again:
        assert (again.hello().device_id, again.hello().boot_id) == (identity, 3)
