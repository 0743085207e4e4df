"""Quantization with TensorFlow's converter, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyfleet.quantize.result import LayerAccuracy, QuantizedModel
from tinyfleet_codegen.errors import CompileError, SetupError

TIMEOUT_S = 600.0
"""Longest that a conversion may take."""


class TfLiteBackend:
    """Post-training int8 quantization by ``tf.lite.TFLiteConverter``, per-channel weights."""

    name = "tf.lite"

    def quantize(self, keras_file: bytes, calibration: npt.NDArray[np.float32]) -> QuantizedModel:
        """See :class:`tinyfleet.quantize.QuantizerBackend`."""
        if find_spec("tensorflow") is None:
            raise SetupError("quantization needs TensorFlow", hint="install the extra: pip install 'tinyfleet[train]'")
        with tempfile.TemporaryDirectory(prefix="tinyfleet-quantize-") as name:
            folder = Path(name)
            (folder / "model.keras").write_bytes(keras_file)
            np.savez(folder / "calibration.npz", x=calibration)
            command = [sys.executable, "-m", "tinyfleet.quantize.tflite_worker", "model.keras", "calibration.npz", "."]
            try:
                result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
            except subprocess.TimeoutExpired:
                raise CompileError(f"the converter did not finish within {TIMEOUT_S:.0f} s") from None
            if result.returncode != 0:
                raise CompileError(_failure(result.returncode, result.stderr), hint="simplify the network, or try another layer type")
            layers = json.loads((folder / "layers.json").read_text(encoding="utf-8"))
            return QuantizedModel((folder / "model.tflite").read_bytes(), tuple(LayerAccuracy(**layer) for layer in layers))


def _failure(code: int, stderr: str) -> str:
    if code < 0:
        return f"the converter crashed (signal {-code}); it cannot convert this network"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f"the converter failed: {lines[-1][:300] if lines else f'exit code {code}'}"
