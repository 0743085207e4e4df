"""Models as TensorFlow's converter writes them, with ops beyond plain convolutions: every layer equals the oracle's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.converted_models import NAMES, convert
from tinyfleet.cases import Cases
from tinyfleet.engine import HostModel
from tinyfleet.oracle import open_oracle
from tinyfleet.verify import HostRunner, compare
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.package import ModelPackage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("converted")
    convert(path)
    return path


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_a_converted_model_equals_the_oracle(name: str, folder: Path) -> None:
    package = ModelPackage(name, (folder / f"{name}.tflite").read_bytes())
    model = compile_graph(package, None)
    runner = HostRunner(HostModel(package, compiled=model))
    result = compare(runner, model, open_oracle(package.tflite, name), Cases(model, 7), count=20, per_layer=True)
    assert (result.checked, result.mismatches) == (20, 0), result.first_difference
    assert result.layers_compared == 20 * len(model.layers)
