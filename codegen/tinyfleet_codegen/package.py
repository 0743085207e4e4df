"""A model with all that gives its bytes a meaning: front end and labels. Its hash is the ``model_id``.

On disk: ``NAME.tflite`` and beside it, when there is more than the file itself says, ``NAME.json``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import ConfigError, QuantError
from tinyfleet_codegen.quant import quantize_multiplier, requantize

SIDECAR_VERSION = 1
MAX_FRONTEND_SHIFT = 13
"""A difference of two int16 needs 17 bits; shifted by this it still leaves room for the zero point."""


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """From int16 sensor samples to a model's input: ``feature[c] = (raw[c] - offset[c]) * gain[c]``.

    Attributes:
        window_samples: Samples per window, 1 .. 65535.
        hop_samples: Samples between the starts of neighbouring windows, 1 .. window_samples.
        sample_rate_hz: Rate at which the samples were taken; for people and for live sensors.
        offset: [channels] int16, in raw units.
        gain: [channels] features per raw unit, > 0.
    """

    window_samples: int
    hop_samples: int
    sample_rate_hz: float
    offset: tuple[int, ...]
    gain: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.offset) <= 32 or len(self.offset) != len(self.gain):
            raise ConfigError(f"front end has {len(self.offset)} offsets and {len(self.gain)} gains; 1 to 32 of both, equally many")
        if not 1 <= self.window_samples <= 65535 or not 1 <= self.hop_samples <= self.window_samples:
            raise ConfigError(f"front end window {self.window_samples}, hop {self.hop_samples}: need 1 <= hop <= window <= 65535")
        if any(not -32768 <= o <= 32767 for o in self.offset) or any(not g > 0 for g in self.gain):
            raise ConfigError(f"front end offsets {self.offset} must be int16 and gains {self.gain} > 0")

    @property
    def channels(self) -> int:
        """Values per sample."""
        return len(self.offset)

    def constants(self, input_scale: float) -> tuple[tuple[int, int], ...]:
        """(multiplier, shift) of each channel for a model input of that scale.

        Raises:
            QuantError: a gain is so large that a difference of two samples, shifted, would leave int32.
        """
        constants = tuple(quantize_multiplier(g / input_scale) for g in self.gain)
        if any(shift > MAX_FRONTEND_SHIFT for _, shift in constants):
            raise QuantError(f"front end gains {self.gain} are too large for an input scale of {input_scale}")
        return constants

    def window_starts(self, sample_count: int) -> range:
        """Index of the first sample of every window in a stream of ``sample_count`` samples."""
        return range(0, sample_count - self.window_samples + 1, self.hop_samples)

    def apply(self, samples: npt.NDArray[np.int16], input_scale: float, zero_point: int) -> npt.NDArray[np.int8]:
        """Quantize raw samples exactly as the device does.

        Args:
            samples: int16 ``[n, channels]``.

        Returns:
            int8 ``[windows, window_samples, channels]``.
        """
        multipliers, shifts = zip(*self.constants(input_scale), strict=True)
        difference = samples.astype(np.int64) - np.array(self.offset, np.int64)
        scaled = requantize(difference, np.array(multipliers), np.array(shifts)) + zero_point
        quantized = np.clip(scaled, -128, 127).astype(np.int8)
        windows = [quantized[s : s + self.window_samples] for s in self.window_starts(len(samples))]
        shape = (len(windows), self.window_samples, self.channels)
        return np.array(windows, np.int8).reshape(shape)


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A model file, its front end (None: fed with tensors) and its class labels (may be empty)."""

    name: str
    tflite: bytes
    frontend: FrontEnd | None = None
    labels: tuple[str, ...] = ()

    @property
    def model_id(self) -> bytes:
        """SHA-256 (32 bytes) over a canonical manifest of the .tflite, the front end and the labels."""
        manifest = {
            "version": SIDECAR_VERSION,
            "tflite": hashlib.sha256(self.tflite).hexdigest(),
            "frontend": None if self.frontend is None else asdict(self.frontend),
            "labels": list(self.labels),
        }
        return hashlib.sha256(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).digest()

    def save(self, path: Path) -> None:
        """Write ``path`` (a .tflite) and its sidecar."""
        path.write_bytes(self.tflite)
        sidecar: dict[str, Any] = {
            "version": SIDECAR_VERSION,
            "labels": list(self.labels),
            "frontend": None if self.frontend is None else asdict(self.frontend),
        }
        path.with_suffix(".json").write_text(json.dumps(sidecar, indent=2) + "\n", encoding="utf-8")


def load_package(path: Path) -> ModelPackage:
    """Read ``NAME.tflite`` and, when it is there, ``NAME.json``.

    Raises:
        ConfigError: a file cannot be read, or the sidecar is malformed or newer than this code.
    """
    try:
        tflite = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read model {path}: {error.strerror}", hint="give the path of a .tflite file") from error
    sidecar = path.with_suffix(".json")
    if not sidecar.exists():
        return ModelPackage(path.stem, tflite)
    try:
        data = json.loads(sidecar.read_text(encoding="utf-8"))
        if data["version"] > SIDECAR_VERSION:
            raise ConfigError(f"{sidecar} has version {data['version']}, this code reads up to {SIDECAR_VERSION}", hint="update tinyfleet")
        raw = data["frontend"]
        frontend = None
        if raw is not None:
            frontend = FrontEnd(
                window_samples=int(raw["window_samples"]),
                hop_samples=int(raw["hop_samples"]),
                sample_rate_hz=float(raw["sample_rate_hz"]),
                offset=tuple(int(v) for v in raw["offset"]),
                gain=tuple(float(v) for v in raw["gain"]),
            )
        return ModelPackage(path.stem, tflite, frontend, tuple(str(v) for v in data["labels"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{sidecar} is not a valid model sidecar: {error!r}", hint="write it again with ModelPackage.save") from error
