"""The program of the firmware tests, built once a run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.program_process import FirmwareProgram, build_program, nvm_image


@pytest.fixture(scope="session")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program, one for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "firmware-program"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            build_program(folder)
            (folder / "complete").touch()
    return folder / "program"


@pytest.fixture
def program(executable: Path) -> Iterator[FirmwareProgram]:
    """A running one; the test fails if a sanitizer found anything."""
    running = FirmwareProgram(executable)
    try:
        yield running
        running.stop()
    finally:
        running.kill()


@pytest.fixture
def board(program: FirmwareProgram) -> FirmwareProgram:
    """The same with its board switched on, which has an identity."""
    program.power_on(nvm_image())
    return program
