"""Model packages: what the model_id covers, round trip, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyfleet_codegen.errors import ConfigError, QuantError
from tinyfleet_codegen.package import FrontEnd, ModelPackage, load_package

FRONTEND = FrontEnd(window_samples=8, hop_samples=4, sample_rate_hz=50.0, offset=(10, -20, 0), gain=(0.001, 0.02, 0.5))
PACKAGE = ModelPackage("m", b"bytes of a model", FRONTEND, ("a", "b"))


@pytest.mark.parametrize(
    "changed",
    [
        replace(PACKAGE, tflite=b"bytes of a mode1"),
        replace(PACKAGE, labels=("a", "c")),
        replace(PACKAGE, labels=("b", "a")),
        replace(PACKAGE, frontend=None),
        replace(PACKAGE, frontend=replace(FRONTEND, hop_samples=5)),
        replace(PACKAGE, frontend=replace(FRONTEND, gain=(0.001, 0.02, 0.5000001))),
    ],
)
def test_model_id_covers_file_front_end_and_labels(changed: ModelPackage) -> None:
    assert changed.model_id != PACKAGE.model_id


def test_model_id_does_not_depend_on_the_name() -> None:
    assert replace(PACKAGE, name="other").model_id == PACKAGE.model_id


def test_package_survives_the_disk(tmp_path: Path) -> None:
    PACKAGE.save(tmp_path / "m.tflite")
    assert load_package(tmp_path / "m.tflite") == PACKAGE


def test_file_without_sidecar_is_fed_with_tensors(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(b"abc")
    assert load_package(tmp_path / "x.tflite") == ModelPackage("x", b"abc")


@pytest.mark.parametrize(
    ("sidecar", "words"),
    [
        ("{", "not a valid model sidecar"),
        ('{"version": 99}', "version 99"),
        ('{"version": 1, "labels": []}', "frontend"),
        ('{"version": 1, "labels": [], "frontend": {"window_samples": 4}}', "hop_samples"),
    ],
)
def test_bad_sidecar_is_refused(sidecar: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"abc")
    (tmp_path / "m.json").write_text(sidecar)
    with pytest.raises(ConfigError, match=words):
        load_package(tmp_path / "m.tflite")


def test_missing_model_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read model .*nothing\.tflite"):
        load_package(tmp_path / "nothing.tflite")


@pytest.mark.parametrize(
    "change", [{"hop_samples": 9}, {"hop_samples": 0}, {"offset": (1, 2)}, {"gain": (1.0, 1.0, 0.0)}, {"offset": (1, 2, 40000)}]
)
def test_impossible_front_end_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(FRONTEND, **change)  # type: ignore[arg-type]


def test_gain_that_would_overflow_is_refused() -> None:
    with pytest.raises(QuantError, match="too large"):
        replace(FRONTEND, gain=(1.0, 1.0, 20000.0)).constants(0.5)


def test_windows_never_reach_past_the_stream() -> None:
    samples = np.zeros((19, 3), np.int16)
    assert list(FRONTEND.window_starts(19)) == [0, 4, 8]
    assert FRONTEND.apply(samples, 0.1, 0).shape == (3, 8, 3)
    assert FRONTEND.apply(samples[:7], 0.1, 0).shape == (0, 8, 3)


def test_front_end_is_the_rounded_real_value() -> None:
    rng = np.random.default_rng(1)
    samples = rng.integers(-32768, 32768, (8, 3)).astype(np.int16)
    quantized = FRONTEND.apply(samples, 0.25, 5)[0].astype(int)
    real = (samples - np.array(FRONTEND.offset)) * np.array(FRONTEND.gain) / 0.25 + 5
    assert np.abs(quantized - np.clip(real, -128, 127)).max() <= 1.0
