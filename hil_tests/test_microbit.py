"""A micro:bit, a true ARMv6-M core with 16 KB of RAM: witness of the ARMv6-M kernels, and a board whose NVM is no memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil_tests.conftest import StartBoard
from hil_tests.test_identity import WINDOWS, produce
from tests.support import mlperf, standins
from tinyfleet.device import connect
from tinyfleet.verify import verify
from tinyfleet_codegen.errors import DeviceError
from tinyfleet_codegen.package import ModelPackage, load_package
from tinyfleet_codegen.wire.nvm import read_boot_id

BOARD = "microbit"


def test_keyword_spotting_fits_and_equals_the_oracle_in_every_layer(tmp_path: Path) -> None:
    found = [load_package(mlperf.path_of(model)) for model in mlperf.found_models() if model.name == "kws"]
    for package in (ModelPackage("kws", standins.kws()), *found):
        result = verify(package, [f"emu://{BOARD}"], count=4, seed=11, per_layer=True, work_dir=tmp_path)
        target = result.targets[0]
        assert result.equal, target.first_difference
        assert target.checked == 4 and target.layers_compared >= 40


def test_boots_are_counted_in_a_file_whose_name_needs_care(start_board: StartBoard) -> None:
    seen: set[tuple[bytes, int, int]] = set()
    for launch in range(2):
        board = start_board(board=BOARD, nvm="my, board's nvm")
        with connect(board.url) as device:
            seen |= produce(device)
            with pytest.raises(DeviceError, match="MGMT_ERR_ENOTSUP"):  # no memory to keep windows in
                device.window(device.hello().boot_id, 0)
            device.reset()
            seen |= produce(device)
        # As a power cut: what was promised durable must be.
        board.kill()
        assert read_boot_id(board.nvm.read_bytes()) == 2 * (launch + 1)
    assert len(seen) == 4 * WINDOWS
