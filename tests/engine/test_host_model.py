"""The C engine as a Python object."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support import standins
from tests.support.stream_case import keyword_case
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet.cases import Cases
from tinyfleet.engine import HostModel
from tinyfleet.oracle import open_oracle
from tinyfleet_codegen.errors import BuildError, ShapeError
from tinyfleet_codegen.package import FrontEnd, ModelPackage

KWS = ModelPackage("kws", standins.kws())


def package_with_front_end() -> ModelPackage:
    b = TfliteBuilder()
    x, y = b.tensor((1, 8, 3), scale=0.25, zero_point=5), b.tensor((1, 24), scale=0.25, zero_point=5)
    b.op("RESHAPE", [x], [y])
    frontend = FrontEnd(window_samples=8, hop_samples=4, sample_rate_hz=50.0, offset=(100, -2000, 0), gain=(0.001, 0.02, 1.7))
    return ModelPackage("front", b.build([x], [y]), frontend)


def test_batch_equals_single_runs_and_the_oracle() -> None:
    model = HostModel(KWS)
    x = Cases(model.compiled, 1).inputs(0, 6)
    batch = model.run(x)
    np.testing.assert_array_equal(batch, np.concatenate([model.run(x[i : i + 1]) for i in range(6)]))
    np.testing.assert_array_equal(batch, open_oracle(KWS.tflite, "kws").run(x))


def test_a_streaming_model_remembers_until_it_is_reset() -> None:
    case = keyword_case("stream")
    model = HostModel(ModelPackage("stream", case.tflite))
    x = Cases(model.compiled, 3).inputs(0, 12)
    expected = open_oracle(case.tflite, "stream").run(x)
    np.testing.assert_array_equal(np.concatenate([model.run(x[:5]), model.run(x[5:])]), expected)
    assert not np.array_equal(model.run(x), expected)
    model.reset()
    np.testing.assert_array_equal(model.run(x), expected)


def test_empty_batch_gives_an_empty_result() -> None:
    model = HostModel(KWS)
    assert model.run(np.empty((0, 49, 10, 1), np.int8)).shape == (0, 12)


def test_library_carries_the_model_id() -> None:
    assert HostModel(KWS).model_id == KWS.model_id


def test_seeded_inputs_are_the_same_in_c_and_python() -> None:
    model = HostModel(KWS)
    cases = Cases(model.compiled, 4294967295)
    for case in (0, 1, 2, 3, 1000, 2**31):
        np.testing.assert_array_equal(model.seeded_input(4294967295, case), cases.input(case))


def test_front_end_in_c_equals_numpy_over_the_whole_range() -> None:
    package = package_with_front_end()
    model = HostModel(package)
    assert package.frontend is not None and model.input.scale is not None and model.input.zero_point is not None
    rng = np.random.default_rng(5)
    edges = np.array([-32768, -32767, -1, 0, 1, 32766, 32767, 100], np.int16)
    windows = [np.stack([np.roll(edges, k) for k in range(3)], axis=1), *(rng.integers(-32768, 32768, (200, 8, 3)).astype(np.int16))]
    for window in windows:
        expected = package.frontend.apply(window, model.input.scale, model.input.zero_point)[0]
        np.testing.assert_array_equal(model.frontend(window), expected)


@pytest.mark.parametrize("x", [np.zeros((1, 49, 10, 1), np.float32), np.zeros((1, 49, 10), np.int8), np.zeros((1, 48, 10, 1), np.int8)])
def test_wrong_input_is_refused_with_both_shapes(x: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    with pytest.raises(ShapeError, match=r"the model takes int8"):
        HostModel(KWS).run(x)


def test_two_models_run_in_two_threads() -> None:
    first, second = HostModel(KWS), HostModel(ModelPackage("ad", standins.ad()))
    inputs = [Cases(model.compiled, 9).inputs(0, 40) for model in (first, second)]
    alone = [model.run(x) for model, x in zip((first, second), inputs, strict=True)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda pair: pair[0].run(pair[1]), zip((first, second), inputs, strict=True)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_cache_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(BuildError, match="cannot write"):
        HostModel(KWS)
