"""Whole models equal TFLite Micro: stand-ins always, the MLPerf Tiny files where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import mlperf, standins
from tinyfleet.verify import verify
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.package import ModelPackage, load_package

EVERYWHERE = ("reference", "host", "blob")


@pytest.mark.parametrize("name", standins.STANDINS)
def test_standin_equals_the_oracle_in_every_layer(name: str) -> None:
    result = verify(ModelPackage(name, standins.STANDINS[name]()), EVERYWHERE, count=8, seed=2, per_layer=True)
    assert result.equal, result.targets
    assert all(target.checked == 8 and target.layers_compared > 0 for target in result.targets)
    assert result.oracle.startswith("tflite-micro")


@pytest.mark.parametrize("model", mlperf.found_models(), ids=lambda model: model.name)
def test_mlperf_model_equals_the_oracle(model: mlperf.MlperfModel) -> None:
    package = load_package(mlperf.path_of(model))
    result = verify(package, EVERYWHERE, count=100, seed=3, per_layer=False)
    assert result.equal, result.targets
    assert all(target.checked == 100 for target in result.targets)


@pytest.mark.parametrize("model", mlperf.found_models(), ids=lambda model: model.name)
def test_mlperf_model_equals_the_oracle_in_every_layer(model: mlperf.MlperfModel) -> None:
    result = verify(load_package(mlperf.path_of(model)), ["host"], count=3, seed=4, per_layer=True)
    assert result.equal, result.targets
    assert result.targets[0].layers_compared == 3 * len(compile_graph(load_package(mlperf.path_of(model)), None).layers)


@pytest.mark.parametrize("model", [m for m in mlperf.found_models() if m.name in ("kws", "sww", "ad")], ids=lambda model: model.name)
def test_mlperf_samples_equal_the_oracle(model: mlperf.MlperfModel) -> None:
    package = load_package(mlperf.path_of(model))
    source = compile_graph(package, None).input
    assert source.scale is not None and source.zero_point is not None
    inputs = mlperf.sample_inputs(model, source.scale, source.zero_point)
    assert inputs is not None
    result = verify(package, EVERYWHERE, count=len(inputs), inputs=inputs)
    assert result.equal, result.targets


def test_mlperf_folder_is_complete_when_it_is_named() -> None:
    root = mlperf.folder()
    if root is not None:
        assert {m.name for m in mlperf.found_models()} == {m.name for m in mlperf.MODELS}, f"{mlperf.VARIABLE}={root} lacks models"


def test_compiling_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    package = ModelPackage("kws", standins.kws())
    first, second = compile_graph(package, None), compile_graph(package, None)
    assert first.source == second.source
    assert first.plan.offsets == second.plan.offsets
