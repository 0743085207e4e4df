"""Models as blobs: opened and run by ``lib/model``, equal to TFLite Micro and to the generated C."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.codegen.test_ops import CASES, INPUTS, SEED, assert_batch_equals_oracle
from tests.support import mlperf, standins
from tests.support.batch import MACHINES, batch_target, compile_cases, run_layers, run_on_board, run_on_host
from tinyfleet.cases import Cases
from tinyfleet.oracle import open_oracle
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.package import ModelPackage, load_package
from tinyfleet_codegen.target import load_target

BOARD = "mps2_an386"
MODEL_INPUTS = 3


def boards(*often: str) -> list[object]:
    """All boards; those that are not named only in the full run."""
    return [board if board in often else pytest.param(board, marks=pytest.mark.full) for board in MACHINES]


def test_op_cases_as_host_blobs_equal_the_oracle_under_sanitizers(tmp_path: Path) -> None:
    assert_batch_equals_oracle(run_on_host(compile_cases(CASES), tmp_path, seed=SEED, inputs=INPUTS, blobs=True))


@pytest.mark.parametrize("board", boards(BOARD, "mps2_an385_v6m", "mps3_an547"))
def test_op_cases_as_board_blobs_equal_the_oracle(board: str, tmp_path: Path) -> None:
    assert_batch_equals_oracle(run_on_board(compile_cases(CASES, board), tmp_path, seed=SEED, inputs=INPUTS, board=board, blobs=True))


@cache
def packages() -> tuple[ModelPackage, ...]:
    """The MLPerf Tiny models, or stand-ins of the same architectures."""
    found = tuple(load_package(mlperf.path_of(model)) for model in mlperf.found_models())
    return found or tuple(ModelPackage(name, make()) for name, make in standins.STANDINS.items())


@pytest.mark.parametrize("board", [None, *boards(BOARD)])
def test_models_as_blobs_equal_c_in_every_layer_and_the_oracle(board: str | None, tmp_path: Path) -> None:
    target = None if board is None else batch_target(board)
    models = [compile_graph(package, target) for package in packages()]
    layers = []
    for blobs in (False, True):
        folder = tmp_path / str(blobs)
        folder.mkdir()
        layers.append(run_layers(models, folder, seed=SEED, inputs=MODEL_INPUTS, board=board, blobs=blobs))
    as_c, as_blob = layers
    for model, expected_layers, actual_layers in zip(models, as_c, as_blob, strict=True):
        outputs = open_oracle(model.package.tflite, model.name).run(Cases(model, SEED).inputs(0, MODEL_INPUTS))
        for case, (wanted, got) in enumerate(zip(expected_layers, actual_layers, strict=True)):
            different = [i for i, (w, g) in enumerate(zip(wanted, got, strict=True)) if w != g]
            assert not different, f"{model.name}, input {case}: layers {different} differ from the C"
            assert got[-1] == outputs[case].tobytes(), f"{model.name}, input {case} differs from the oracle"


def test_printing_twice_gives_the_same_bytes() -> None:
    model = compile_graph(ModelPackage("kws", standins.kws()), load_target(BOARD))
    assert _print(model) == _print(model)


def test_a_blob_is_little_more_than_the_constants_of_the_c() -> None:
    for package in packages():
        model = compile_graph(package, None)
        assert len(_print(model)) < model.weights_bytes + 200 * len(model.layers) + 512


def _print(model: CompiledModel) -> bytes:
    return print_blob(model.graph, model.plan, model.package, model.cpu_class)
