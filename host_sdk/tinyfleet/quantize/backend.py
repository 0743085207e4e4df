"""The interface to a quantizer, and the choice of one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from tinyfleet.quantize.result import QuantizedModel
from tinyfleet.quantize.tflite_backend import TfLiteBackend


class QuantizerBackend(Protocol):
    """One way to quantize."""

    name: str

    def quantize(self, keras_file: bytes, calibration: npt.NDArray[np.float32]) -> QuantizedModel:
        """Quantize to int8 with int8 input and output, batch size 1.

        Args:
            keras_file: The float network, a ``.keras`` file.
            calibration: ``[n, *input]`` inputs as the network sees them in use.

        Raises:
            SetupError: what the back end needs is not installed.
            CompileError: the network cannot be converted.
        """
        ...


def quantize_model(keras_file: bytes, calibration: npt.NDArray[np.float32], *, backend: QuantizerBackend | None = None) -> QuantizedModel:
    """Quantize with the given back end (None: TensorFlow's converter); see :class:`QuantizerBackend`."""
    return (backend or TfLiteBackend()).quantize(keras_file, calibration)
