"""Training and quantization for real. TensorFlow takes seconds to start, so all of this is slow."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyfleet.engine import HostModel
from tinyfleet.quantize import calibration_indices, quantize_model
from tinyfleet.train import as_model_input, load_recipe, train_recipe
from tinyfleet.train.tensorflow_runtime import import_tensorflow
from tinyfleet_codegen.errors import CompileError
from tinyfleet_codegen.package import load_package

pytestmark = pytest.mark.slow

ALLOWED_OPS = {
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "MEAN",
    "ADD",
    "PAD",
    "RESHAPE",
    "SOFTMAX",
}


def tinyfleet(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tinyfleet", *words], capture_output=True, text=True, timeout=350, check=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("gesture")
    # Fewer epochs than the recipe's; the demo's test trains with all of them.
    result = tinyfleet("zoo", "train", "gesture", "--epochs", "10", "-o", str(folder), "--json")
    assert result.returncode == 0, result.stderr
    return folder, json.loads(result.stdout)


def test_gesture_reaches_its_accuracy_on_unseen_people(trained: tuple[Path, dict[str, Any]]) -> None:
    metrics = trained[1]
    assert metrics["held_out_windows"] == 707
    assert metrics["float_accuracy"] >= 0.78
    assert abs(metrics["float_accuracy"] - metrics["int8_accuracy"]) <= 0.02
    assert 5_000 <= metrics["parameters"] <= 15_000
    assert {layer["op"] for layer in metrics["layers"]} <= ALLOWED_OPS
    assert np.trace(metrics["confusion"]) / np.sum(metrics["confusion"]) == pytest.approx(metrics["int8_accuracy"])
    assert all(layer["signal_to_noise_db"] > 20 for layer in metrics["layers"])


def test_the_files_are_one_whole_package(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, metrics = trained
    package = load_package(Path(metrics["model"]))
    spec = load_recipe("gesture").spec
    assert package.model_id.hex() == metrics["model_id"]
    assert (package.frontend, package.labels) == (spec.frontend, spec.labels)
    engine = HostModel(package)
    assert (engine.input.scale, engine.input.zero_point) == (spec.input_scale, spec.input_zero_point)
    with np.load(folder / "held_out.npz") as held_out:
        assert np.array_equal(engine.run(as_model_input(held_out["x"])).reshape(707, -1), held_out["output"])
    assert json.loads((folder / "metrics.json").read_text()) == {k: v for k, v in metrics.items() if k != "model"}


def test_the_front_end_in_c_gives_the_features_of_training(trained: tuple[Path, dict[str, Any]]) -> None:
    engine = HostModel(load_package(Path(trained[1]["model"])))
    spec = load_recipe("gesture").spec
    rng = np.random.default_rng(5)
    samples = rng.integers(-32768, 32768, (50 * 40 + 50, 6)).astype(np.int16)
    samples[:200:2] = 32767
    samples[1:200:2] = -32768
    through_numpy = spec.frontend.apply(samples, spec.input_scale, spec.input_zero_point)
    for window, start in zip(through_numpy, spec.frontend.window_starts(len(samples)), strict=True):
        assert np.array_equal(engine.frontend(samples[start : start + 100]), window)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    _, keras = import_tensorflow()

    def weights(seed: int, file: Path) -> list[np.ndarray]:
        seen: list[tuple[int, int]] = []
        trained = train_recipe("gesture", seed, epochs=2, progress=lambda done, total: seen.append((done, total)))
        assert (trained.seed, seen) == (seed, [(1, 2), (2, 2)])
        file.write_bytes(trained.keras_file)
        return list(keras.models.load_model(file).get_weights())

    with tempfile.TemporaryDirectory() as folder:
        once, again, other = (weights(seed, Path(folder) / f"{i}.keras") for i, seed in enumerate((3, 3, 4)))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(once, other, strict=True))


def test_a_converter_that_crashes_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    # TensorFlow 2.21 ends its process with a segmentation fault when it calibrates an LSTM of Keras 3.
    _, keras = import_tensorflow()
    network = keras.Sequential([keras.Input((8, 3)), keras.layers.LSTM(4), keras.layers.Dense(2)])
    network.save(tmp_path / "lstm.keras")
    with pytest.raises(CompileError, match="converter"):
        quantize_model((tmp_path / "lstm.keras").read_bytes(), np.zeros((4, 8, 3), np.float32))


def test_quantize_command_takes_a_model_and_its_calibration(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "x.npz", x=rng.normal(size=(16, 100, 1, 6)).astype(np.float32))
    model, output = str(trained[0] / "gesture.keras"), tmp_path / "out" / "m.tflite"
    result = tinyfleet("quantize", model, "--calibration", str(tmp_path / "x.npz"), "-o", str(output), "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["bytes"] == output.stat().st_size
    assert [layer["op"] for layer in report["layers"]].count("CONV_2D") == 4
    HostModel(load_package(output))


def test_calibration_holds_both_ends_of_the_range() -> None:
    x = np.zeros((50, 4, 2), np.int8)
    x[17, 2, 1], x[31, 0, 0] = -128, 127
    for seed in range(5):
        chosen = calibration_indices(x, 10, seed)
        assert {17, 31} <= set(chosen.tolist())
        assert len(chosen) <= 12
        assert np.array_equal(chosen, calibration_indices(x, 10, seed))
