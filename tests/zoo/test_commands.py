"""The zoo and quantize commands where no TensorFlow is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyfleet.quantize import tflite_backend
from tinyfleet.train import tensorflow_runtime
from tinyfleet_codegen.errors import CompileError, SetupError

CALIBRATION = np.zeros((1, 4), np.float32)


def tinyfleet(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tinyfleet", *words], capture_output=True, text=True, timeout=300, check=False)


def test_zoo_list_names_the_gesture_recipe() -> None:
    listed = json.loads(tinyfleet("zoo", "list", "--json").stdout)
    assert [r["name"] for r in listed] == ["gesture"]
    assert "gesture  Shoulder exercises" in tinyfleet("zoo", "list").stdout


def test_zoo_show_prints_the_card_and_the_numbers() -> None:
    assert tinyfleet("zoo", "show", "gesture").stdout.startswith("# gesture")
    shown = json.loads(tinyfleet("zoo", "show", "gesture", "--json").stdout)
    assert shown["channels"][1] == {"name": "ay", "unit": "g", "lsb_per_unit": 4096.0, "offset": 1500, "gain": 0.0005}


def test_unknown_recipe_is_wrong_usage() -> None:
    result = tinyfleet("zoo", "train", "nothing", "-o", "never-written")
    assert (result.returncode, result.stdout) == (2, "")
    assert "error: there is no recipe 'nothing'\n  hint: installed recipes: gesture" in result.stderr
    assert not Path("never-written").exists()


@pytest.mark.parametrize(
    ("stored", "message"), [({"a": CALIBRATION, "b": CALIBRATION}, "holds the arrays"), ({"x": np.zeros(0)}, "has shape")]
)
def test_unusable_calibration_is_refused_before_work_begins(tmp_path: Path, stored: dict[str, np.ndarray], message: str) -> None:
    (tmp_path / "m.keras").write_bytes(b"never opened")
    np.savez(tmp_path / "x.npz", **stored)
    result = tinyfleet("quantize", str(tmp_path / "m.keras"), "--calibration", str(tmp_path / "x.npz"), "-o", str(tmp_path / "m.tflite"))
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 torn"])
def test_calibration_that_is_no_npz_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.keras").write_bytes(b"never opened")
    (tmp_path / "x.npz").write_bytes(content)
    result = tinyfleet("quantize", str(tmp_path / "m.keras"), "--calibration", str(tmp_path / "x.npz"), "-o", str(tmp_path / "m.tflite"))
    assert result.returncode == 1
    assert "error: cannot read calibration data" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_tensorflow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(tflite_backend, "find_spec", lambda _name: None)
    for call in (tensorflow_runtime.import_tensorflow, lambda: tflite_backend.TfLiteBackend().quantize(b"", CALIBRATION)):
        with pytest.raises(SetupError) as caught:
            call()
        assert "tinyfleet[train]" in str(caught.value.hint)


def test_nothing_of_train_or_quantize_loads_tensorflow_when_it_is_imported() -> None:
    code = (
        "import sys, tinyfleet.train, tinyfleet.quantize, tinyfleet_zoo.gesture\n"
        "print([m for m in ('tensorflow', 'keras', 'seglearn') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True).stdout == "[]\n"


def test_the_converter_gets_a_file_that_is_no_model() -> None:
    with pytest.raises(CompileError, match="the converter failed"):
        tflite_backend.TfLiteBackend().quantize(b"no model", CALIBRATION)
