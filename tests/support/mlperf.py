"""The five MLPerf Tiny models, when ``TINYFLEET_MLPERF_TINY`` names their folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyfleet_codegen.op import Array

VARIABLE = "TINYFLEET_MLPERF_TINY"


@dataclass(frozen=True)
class MlperfModel:
    """One file of the benchmark."""

    name: str
    file: str
    sha256_start: str


MODELS = (
    MlperfModel("kws", "kws_ref_model.tflite", "aeea436800704fce"),
    MlperfModel("vww", "vww_96_int8.tflite", "597a384c8c2c8a12"),
    MlperfModel("ic", "pretrainedResnet_quant.tflite", "3c002613d1b2475e"),
    MlperfModel("ad", "ad01_int8.tflite", "87cf24194ef93d1d"),
    MlperfModel("sww", "str_ww_ref_model.tflite", "3af8550895ba7d5c"),
)


def folder() -> Path | None:
    """Where the models are, or None when the variable is unset."""
    value = os.environ.get(VARIABLE, "")
    return Path(value) if value else None


def found_models() -> list[MlperfModel]:
    """Those that are there. A file whose content is another one is an error, not an absence."""
    root = folder()
    if root is None:
        return []
    found = [model for model in MODELS if (root / model.file).exists()]
    for model in found:
        digest = hashlib.sha256((root / model.file).read_bytes()).hexdigest()
        assert digest.startswith(model.sha256_start), f"{model.file} has SHA-256 {digest[:16]}, expected {model.sha256_start}"
    return found


def path_of(model: MlperfModel) -> Path:
    """The model's file."""
    root = folder()
    assert root is not None
    return root / model.file


def sample_inputs(model: MlperfModel, scale: float, zero_point: int) -> Array | None:
    """The recorded inputs that come with the models, quantized; None for a model that has none."""
    root = folder()
    assert root is not None
    samples = root / "samples"
    if model.name == "kws":
        return np.fromfile(samples / "kws_49x10_int8.bin", np.int8).reshape(1, 49, 10, 1)
    if model.name == "sww":
        return np.fromfile(samples / "sww_45x30x40_int8.bin", np.int8).reshape(45, 30, 1, 40)
    if model.name == "ad":
        frames = np.fromfile(samples / "ad_normal_id_01_200x128_f32le.bin", "<f4").reshape(200, 128)
        windows = np.stack([frames[i : i + 5].reshape(640) for i in range(196)])
        return np.clip(np.round(windows / scale) + zero_point, -128, 127).astype(np.int8)
    return None
