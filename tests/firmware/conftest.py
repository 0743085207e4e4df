"""The program of the firmware tests, built once a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.program_process import FirmwareProgram, build_program, nvm_image
from tests.support.once import once_a_run


@pytest.fixture(scope="session")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program, one for all processes of a run."""
    return once_a_run(tmp_path_factory, "firmware-program", build_program)


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
