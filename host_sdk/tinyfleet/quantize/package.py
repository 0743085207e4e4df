"""From a trained recipe to a model package: int8 file, front end, labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet.quantize.backend import QuantizerBackend, quantize_model
from tinyfleet.quantize.result import QuantizedModel
from tinyfleet.train import TrainedModel, model_input
from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.tflite.reader import read_tflite


def calibration_indices(x: npt.NDArray[np.int8], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Which windows calibrate: ``count`` at random, among them those that hold the smallest and the largest value.

    With both ends of the int8 range in the set, the model's input scale comes out as the recipe's.
    """
    flat = x.reshape(len(x), -1)
    ends = [int(flat.min(axis=1).argmin()), int(flat.max(axis=1).argmax())]
    chosen = np.random.default_rng(seed).permutation(len(x))[:count]
    return np.unique(np.concatenate([chosen, ends])).astype(np.int64)


def package_recipe(trained: TrainedModel, *, backend: QuantizerBackend | None = None) -> tuple[ModelPackage, QuantizedModel]:
    """Quantize a trained recipe and add its front end and labels.

    Raises:
        QuantError: the model's input scale is not the one that the features were rounded to.
    """
    spec = trained.recipe.spec
    chosen = calibration_indices(trained.train.x, spec.calibration_windows, trained.seed)
    quantized = quantize_model(trained.keras_file, model_input(trained.train, trained.recipe)[chosen], backend=backend)
    graph = read_tflite(quantized.tflite, spec.name)
    quant = graph.tensors[graph.inputs[0]].quant
    found = None if quant is None else (quant.scales[0], quant.zero_points[0])
    if found != (spec.input_scale, spec.input_zero_point):
        raise QuantError(
            f"the model's input has (scale, zero point) {found}, recipe {spec.name} says {spec.input_scale, spec.input_zero_point}"
        )
    return ModelPackage(spec.name, quantized.tflite, spec.frontend, spec.labels), quantized
