"""Boards for the tests: emulated ones with the sensor app and a small model, built once a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.images import key, pem
from tests.support.model_swap import swap_model_dir
from tests.support.once import once_a_run
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
        return once_a_run(tmp_path_factory, f"small-{board}", partial(build_firmware, board, model_dir))

    return build


@pytest.fixture(scope="session")
def swap_firmware(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FirmwareBuild]:
    """The sensor app that takes models, a test build, per board."""

    @cache
    def build(board: str) -> FirmwareBuild:
        return once_a_run(
            tmp_path_factory, f"swap-{board}", lambda folder: build_firmware(board, swap_model_dir(folder / "model", board), folder / "out")
        )

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
    """Firmware behind the bootloader that takes models, for both slots of a board, and what signs more of it.

    Attributes:
        folder: As ``tinyfleet build --signed`` leaves it; of all processes of a run, and not to be written to.
    """

    board: str
    folder: Path
    keys: SigningKeys
    signed: SignedBuild

    def image(self, slot: int, version: str) -> bytes:
        """The firmware for a slot, under any version."""
        return self.sign(self.signed.programs[slot].image.read_bytes(), slot, version)

    def sign(self, program: bytes, slot: int, version: str, *, key: Path | None = None) -> bytes:
        """An image of any program, by default with the key that the bootloader has."""
        with TemporaryDirectory() as name:
            raw, signed = Path(name) / "raw.bin", Path(name) / "signed.bin"
            raw.write_bytes(program)
            sign_firmware(raw, signed, ImageFacts(self.board, slot, version), key or self.keys.firmware)
            return signed.read_bytes()


@pytest.fixture(scope="session")
def updatable_board(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Updatable]:
    """Built once a run, per board."""

    def make(board: str, folder: Path) -> Updatable:
        keys = SigningKeys(folder / "firmware.pem", folder / "model.pem")
        for path in (keys.firmware, keys.model):
            path.write_bytes(pem(key(path.stem)))
        return Updatable(board, folder, keys, build_signed(board, swap_model_dir(folder / "model", board), folder, keys))

    @cache
    def build(board: str) -> Updatable:
        return once_a_run(tmp_path_factory, f"updatable-{board}", partial(make, board))

    return build


@pytest.fixture(scope="session")
def updatable(updatable_board: Callable[[str], Updatable]) -> Updatable:
    """That of ``BOARD``."""
    return updatable_board(BOARD)


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
