"""Boards for the tests: emulated ones with the sensor app and a small model, built once a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.support.tflite_builder import TfliteBuilder
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.platformio_build import FirmwareBuild, build_firmware
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.package import FrontEnd, ModelPackage

BOARD = "mps2_an386"
CHANNELS, WINDOW_SAMPLES, HOP_SAMPLES = 3, 8, 4

StartBoard = Callable[..., EmulatedBoard]


def small_package() -> ModelPackage:
    """A model that hands its input on: 8 samples of 3 channels, so that tests see what went in."""
    builder = TfliteBuilder()
    window = builder.tensor((1, WINDOW_SAMPLES, CHANNELS), scale=0.25, zero_point=5)
    flat = builder.tensor((1, WINDOW_SAMPLES * CHANNELS), scale=0.25, zero_point=5)
    builder.op("RESHAPE", [window], [flat])
    frontend = FrontEnd(
        window_samples=WINDOW_SAMPLES, hop_samples=HOP_SAMPLES, sample_rate_hz=50.0, offset=(0, 0, 0), gain=(0.01, 0.01, 0.01)
    )
    return ModelPackage("small", builder.build([window], [flat]), frontend)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model, compiled to C."""
    folder = tmp_path_factory.mktemp("model")
    compile_model(small_package(), BOARD, folder)
    return folder


@pytest.fixture(scope="session")
def firmware(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FirmwareBuild]:
    """The sensor app with that model, per board."""

    @cache
    def build(board: str) -> FirmwareBuild:
        return build_firmware(board, model_dir, tmp_path_factory.mktemp(board))

    return build


@pytest.fixture
def start_board(firmware: Callable[[str], FirmwareBuild], tmp_path: Path) -> Iterator[StartBoard]:
    """Starts emulated boards and stops what still runs: ``start_board(nvm="a.nvm", pty=True)``."""
    with ExitStack() as running:

        def start(*, nvm: str = "board.nvm", board: str = BOARD, pty: bool = False, device_id: bytes | None = None) -> EmulatedBoard:
            emulated = EmulatedBoard.start(board, firmware(board).elf, tmp_path / nvm, pty=pty, device_id=device_id)
            return running.enter_context(emulated)

        yield start
