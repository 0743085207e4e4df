"""Boards for the tests: emulated ones with the sensor app and a small model, built once a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.images import key, pem
from tests.support.model_swap import swap_model_dir
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.emulator.air import ThreadedAir, serve_air
from tinyfleet.image import ImageFacts, sign_firmware
from tinyfleet.platformio_build import FirmwareBuild, SignedBuild, build_firmware, build_signed
from tinyfleet.signing_keys import SigningKeys
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

        def start(
            *, nvm: str = "board.nvm", board: str = BOARD, pty: bool = False, device_id: bytes | None = None, air: str | None = None
        ) -> EmulatedBoard:
            emulated = EmulatedBoard.start(board, firmware(board).elf, tmp_path / nvm, pty=pty, device_id=device_id, air=air)
            return running.enter_context(emulated)

        yield start


@dataclass(frozen=True, slots=True)
class Updatable:
    """Firmware behind the bootloader that takes models, for both slots of ``BOARD``, and what signs more of it."""

    folder: Path
    keys: SigningKeys
    signed: SignedBuild

    def image(self, slot: int, version: str) -> bytes:
        """The firmware for a slot, under any version."""
        signed = self.folder / "image.bin"
        sign_firmware(self.signed.programs[slot].image, signed, ImageFacts(BOARD, slot, version), self.keys.firmware)
        return signed.read_bytes()


@pytest.fixture(scope="session")
def updatable(tmp_path_factory: pytest.TempPathFactory) -> Updatable:
    """Built once a run."""
    folder = tmp_path_factory.mktemp("updatable")
    keys = SigningKeys(folder / "firmware.pem", folder / "model.pem")
    for path in (keys.firmware, keys.model):
        path.write_bytes(pem(key(path.stem)))
    return Updatable(folder, keys, build_signed(BOARD, swap_model_dir(folder / "model", BOARD), folder, keys))


@pytest.fixture
def air() -> Iterator[ThreadedAir]:
    with serve_air() as air:
        yield air


@pytest.fixture
def start_in(firmware: Callable[[str], FirmwareBuild], tmp_path: Path) -> Iterator[Callable[[ThreadedAir], EmulatedBoard]]:
    """Starts boards on an air, and stops them."""
    running: list[EmulatedBoard] = []
    elf = firmware(BOARD).elf

    def start(air: ThreadedAir) -> EmulatedBoard:
        running.append(EmulatedBoard.start(BOARD, elf, tmp_path / f"{len(running)}.nvm", air=air.address))
        return running[-1]

    yield start
    for board in running:
        board.stop()
