"""What quantization gives back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerAccuracy:
    """How well one layer's int8 output follows the float network, over some calibration inputs.

    Attributes:
        op: Operator name as in the .tflite schema.
        name: The output tensor's name.
        signal_to_noise_db: Energy of the float output over energy of the difference; None when either is zero.
        max_error: Largest absolute difference, in real units.
    """

    op: str
    name: str
    scale: float
    zero_point: int
    signal_to_noise_db: float | None
    max_error: float


@dataclass(frozen=True, slots=True)
class QuantizedModel:
    """An int8 model file, int8 at both ends, and its layer report in order of execution."""

    tflite: bytes
    layers: tuple[LayerAccuracy, ...]
