"""The board computes the oracle's bits: stand-ins always, the MLPerf Tiny models where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import mlperf, standins
from tests.support.converted_models import convert
from tests.support.stream_case import keyword_case
from tinyfleet.verify import verify
from tinyfleet_codegen.package import ModelPackage, load_package

BOARDS = ("mps2_an386", "mps2_an385", "mps2_an385_v6m", "mps2_an500", "mps2_an505", "mps3_an547")

EVERY_RUN = ("mps2_an386", "mps2_an385_v6m", "mps3_an547")
"""One board of each class of kernels."""


def assert_equal_on(board: str, package: ModelPackage, folder: Path, *, count: int, per_layer: bool) -> None:
    result = verify(package, [f"emu://{board}"], count=count, seed=11, per_layer=per_layer, work_dir=folder)
    target = result.targets[0]
    assert result.equal, target.first_difference
    assert target.checked == count
    assert not per_layer or target.layers_compared >= count


@pytest.mark.timeout(300)
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", ["kws", "ic"])
def test_standin_on_board_equals_the_oracle_in_every_layer(board: str, name: str, tmp_path: Path) -> None:
    assert_equal_on(board, ModelPackage(name, standins.STANDINS[name]()), tmp_path, count=4, per_layer=True)


@pytest.mark.timeout(300)
def test_streaming_model_on_board_equals_the_oracle_over_a_sequence(tmp_path: Path) -> None:
    package = ModelPackage("stream", keyword_case("stream").tflite)
    # More than one request of a proof, so that the state must live from one to the next.
    assert_equal_on("mps2_an386", package, tmp_path, count=40, per_layer=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("board", [b if b in EVERY_RUN else pytest.param(b, marks=pytest.mark.full) for b in BOARDS])
@pytest.mark.parametrize("model", mlperf.found_models(), ids=lambda model: model.name)
def test_mlperf_model_on_board_equals_the_oracle(model: mlperf.MlperfModel, board: str, tmp_path: Path) -> None:
    assert_equal_on(board, load_package(mlperf.path_of(model)), tmp_path, count=4, per_layer=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("board", ["mps2_an386", *(pytest.param(b, marks=pytest.mark.full) for b in EVERY_RUN[1:])])
def test_converted_int16_model_on_board_equals_the_oracle_in_every_layer(board: str, tmp_path: Path) -> None:
    convert(tmp_path, "int16")
    assert_equal_on(board, load_package(tmp_path / "int16.tflite"), tmp_path, count=4, per_layer=True)
