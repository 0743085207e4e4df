"""The board computes the oracle's bits: stand-ins always, the MLPerf Tiny models where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import mlperf, standins
from tests.support.converted_models import convert
from tests.support.stream_case import keyword_case
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.platformio_build import build_firmware
from tinyfleet.verify import verify
from tinyfleet_codegen.compile import compile_graph, compile_model
from tinyfleet_codegen.errors import ConfigError
from tinyfleet_codegen.package import ModelPackage, load_package

BOARDS = ("mps2_an386", "mps2_an385", "mps2_an385_v6m", "mps2_an500", "mps2_an505", "mps3_an547")

EVERY_RUN = ("mps2_an386", "mps2_an385_v6m", "mps3_an547")
"""One board of each class of kernels."""


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that what a model does not change is compiled once for each board."""
    return tmp_path_factory.mktemp("same-bits")


def assert_equal_on(board: str, package: ModelPackage, folder: Path, *, count: int, per_layer: bool) -> None:
    result = verify(package, [f"emu://{board}"], count=count, seed=11, per_layer=per_layer, work_dir=folder)
    target = result.targets[0]
    assert result.equal, target.first_difference
    assert target.checked == count
    assert not per_layer or target.layers_compared >= count


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", ["kws", "ic"])
def test_standin_on_board_equals_the_oracle_in_every_layer(board: str, name: str, work_dir: Path) -> None:
    assert_equal_on(board, ModelPackage(name, standins.STANDINS[name]()), work_dir, count=4, per_layer=True)


def test_a_device_at_a_url_is_compared_in_the_layers_that_its_board_has(work_dir: Path) -> None:
    # On this board a convolution does the ADD after it; compared as if compiled for the host, it had a layer too few.
    package, board = ModelPackage("ic", standins.ic()), "mps2_an386"
    folder = work_dir / board  # as verify does
    compiled = compile_model(package, board, folder / "model")
    firmware = build_firmware(board, folder / "model", folder / "firmware")
    with EmulatedBoard.start(board, firmware.elf, folder / "nvm.bin") as running:
        result = verify(package, [running.url], count=1, seed=11)
        assert result.equal and result.targets[0].layers_compared == len(compiled.layers) < len(compile_graph(package, None).layers)
        with pytest.raises(ConfigError, match="runs ic in 15 layers, compiled for mps2_an386 here it has 13"):
            verify(package, [running.url], count=1, arena_budget_bytes=27_000)


def test_streaming_model_on_board_equals_the_oracle_over_a_sequence(work_dir: Path) -> None:
    package = ModelPackage("stream", keyword_case("stream").tflite)
    # More than one request of a proof, so that the state must live from one to the next.
    assert_equal_on("mps2_an386", package, work_dir, count=40, per_layer=True)


@pytest.mark.parametrize("board", [b if b in EVERY_RUN else pytest.param(b, marks=pytest.mark.full) for b in BOARDS])
@pytest.mark.parametrize("model", mlperf.found_models(), ids=lambda model: model.name)
def test_mlperf_model_on_board_equals_the_oracle(model: mlperf.MlperfModel, board: str, work_dir: Path) -> None:
    assert_equal_on(board, load_package(mlperf.path_of(model)), work_dir, count=4, per_layer=True)


@pytest.mark.parametrize("board", ["mps2_an386", *(pytest.param(b, marks=pytest.mark.full) for b in EVERY_RUN[1:])])
def test_converted_int16_model_on_board_equals_the_oracle_in_every_layer(board: str, work_dir: Path, tmp_path: Path) -> None:
    convert(tmp_path, "int16")
    assert_equal_on(board, load_package(tmp_path / "int16.tflite"), work_dir, count=4, per_layer=True)
