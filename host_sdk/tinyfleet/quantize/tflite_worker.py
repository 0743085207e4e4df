"""Runs in its own process: converts a Keras model with TensorFlow's converter and measures each layer.

``python -m tinyfleet.quantize.tflite_worker MODEL.keras CALIBRATION.npz FOLDER`` writes ``model.tflite`` and
``layers.json`` to FOLDER. A process of its own, because the converter ends some models with a crash of the process.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet.train.tensorflow_runtime import import_tensorflow

REPORT_WINDOWS = 32
"""Calibration inputs over which the layer report averages."""


def _converter(tensorflow: Any, keras: Any, path: Path) -> Any:
    """A converter of the model with batch size 1: an open batch size adds operators, and makes dilated convolutions wrong."""
    model = keras.models.load_model(path)
    single = keras.Input(batch_shape=(1, *model.input_shape[1:]), dtype=model.input.dtype)
    return tensorflow.lite.TFLiteConverter.from_keras_model(keras.Model(single, model(single)))


def _int8(tensorflow: Any, converter: Any, calibration: npt.NDArray[np.float32]) -> bytes:
    def samples() -> Iterator[list[npt.NDArray[np.float32]]]:
        for x in calibration:
            yield [x[None]]

    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tensorflow.int8
    converter.inference_output_type = tensorflow.int8
    return bytes(converter.convert())


def _interpreter(tensorflow: Any, content: bytes) -> Any:
    interpreter = tensorflow.lite.Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=tensorflow.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    return interpreter


def _layers(tensorflow: Any, float_model: bytes, int8_model: bytes, inputs: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
    """Signal and error of every operator output that float and int8 model share by name."""
    reference, quantized = _interpreter(tensorflow, float_model), _interpreter(tensorflow, int8_model)
    indices = {t["name"]: t["index"] for t in reference.get_tensor_details()}
    tensors = {t["index"]: t for t in quantized.get_tensor_details()}
    pairs = []
    for op in quantized._get_ops_details():
        tensor = tensors[op["outputs"][0]]
        if tensor["name"] in indices and tensor["dtype"] == np.int8:
            pairs.append((op["op_name"], tensor, indices[tensor["name"]]))
    signal, error, worst = np.zeros(len(pairs)), np.zeros(len(pairs)), np.zeros(len(pairs))
    scale, zero_point = quantized.get_input_details()[0]["quantization"]
    for x in inputs:
        reference.set_tensor(reference.get_input_details()[0]["index"], x[None])
        q = np.clip(np.rint(x[None] / scale) + zero_point, -128, 127).astype(np.int8)
        quantized.set_tensor(quantized.get_input_details()[0]["index"], q)
        reference.invoke()
        quantized.invoke()
        for i, (_, tensor, index) in enumerate(pairs):
            real = reference.get_tensor(index).astype(np.float64)
            s, z = tensor["quantization"]
            difference = (quantized.get_tensor(tensor["index"]).astype(np.float64) - z) * s - real
            signal[i] += float(np.sum(real**2))
            error[i] += float(np.sum(difference**2))
            worst[i] = max(worst[i], float(np.max(np.abs(difference))))
    return [
        {
            "op": op,
            "name": tensor["name"],
            "scale": float(tensor["quantization"][0]),
            "zero_point": int(tensor["quantization"][1]),
            "signal_to_noise_db": 10 * math.log10(signal[i] / error[i]) if signal[i] > 0 and error[i] > 0 else None,
            "max_error": worst[i],
        }
        for i, (op, tensor, _) in enumerate(pairs)
    ]


def main() -> int:
    """Convert and report; see the module's text."""
    model_path, calibration_path, folder = (Path(a) for a in sys.argv[1:])
    tensorflow, keras = import_tensorflow()
    calibration = np.load(calibration_path)["x"].astype(np.float32)
    converter = _converter(tensorflow, keras, model_path)
    float_model = bytes(converter.convert())
    int8_model = _int8(tensorflow, converter, calibration)
    (folder / "model.tflite").write_bytes(int8_model)
    layers = _layers(tensorflow, float_model, int8_model, calibration[:REPORT_WINDOWS])
    (folder / "layers.json").write_text(json.dumps(layers), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
