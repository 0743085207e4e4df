"""One recipe from data to files: trained, quantized, judged on people it never saw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet.oracle import open_oracle
from tinyfleet.quantize.package import package_recipe
from tinyfleet.quantize.result import LayerAccuracy
from tinyfleet.train import Progress, TrainedModel, as_model_input, train_recipe
from tinyfleet_codegen.errors import ConfigError
from tinyfleet_codegen.package import ModelPackage


@dataclass(frozen=True, slots=True)
class RecipeModel:
    """A finished model of a recipe.

    Attributes:
        oracle: Name of the interpreter that judged the int8 model: TFLite Micro where it is installed.
        oracle_outputs: int8 ``[n, classes]``: its outputs for every held-out window.
        int8_accuracy: Share of held-out windows that the int8 model gets right.
        confusion: int64 ``[classes, classes]`` of the int8 model: rows are true classes.
    """

    trained: TrainedModel
    package: ModelPackage
    layers: tuple[LayerAccuracy, ...]
    oracle: str
    oracle_outputs: npt.NDArray[np.int8]
    int8_accuracy: float
    confusion: npt.NDArray[np.int64]

    def metrics(self) -> dict[str, Any]:
        """The figures, for ``metrics.json`` and ``--json``."""
        return {
            "recipe": self.package.name,
            "model_id": self.package.model_id.hex(),
            "seed": self.trained.seed,
            "parameters": self.trained.parameter_count,
            "tflite_bytes": len(self.package.tflite),
            "train_windows": len(self.trained.train),
            "held_out_windows": len(self.trained.held_out),
            "float_accuracy": self.trained.float_accuracy,
            "int8_accuracy": self.int8_accuracy,
            "oracle": self.oracle,
            "labels": list(self.package.labels),
            "confusion": self.confusion.tolist(),
            "layers": [
                {"op": v.op, "name": v.name, "signal_to_noise_db": v.signal_to_noise_db, "max_error": v.max_error} for v in self.layers
            ],
            "train_seconds": round(self.trained.seconds, 1),
        }

    def save(self, folder: Path) -> Path:
        """Write ``NAME.tflite``, its sidecar ``NAME.json``, ``NAME.keras``, ``held_out.npz`` and ``metrics.json``.

        Returns:
            The path of the ``.tflite``.

        Raises:
            ConfigError: the folder cannot be written.
        """
        path = folder / f"{self.package.name}.tflite"
        held_out = self.trained.held_out
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.package.save(path)
            path.with_suffix(".keras").write_bytes(self.trained.keras_file)
            np.savez_compressed(
                folder / "held_out.npz",
                x=held_out.x,
                label=held_out.label,
                stream=held_out.stream,
                sample_index=held_out.sample_index,
                output=self.oracle_outputs,
            )
            (folder / "metrics.json").write_text(json.dumps(self.metrics(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {error.filename}: {error.strerror}", hint="give another folder with -o") from error
        return path


def make_recipe_model(name: str, *, seed: int | None = None, epochs: int | None = None, progress: Progress | None = None) -> RecipeModel:
    """Train, quantize and judge one recipe; see :func:`finish_recipe_model` for the errors."""
    return finish_recipe_model(train_recipe(name, seed, epochs=epochs, progress=progress))


def finish_recipe_model(trained: TrainedModel) -> RecipeModel:
    """Quantize a trained recipe and judge it.

    Raises:
        SetupError: TensorFlow is not installed.
        CompileError: the converter failed.
        QuantError: the model's input scale is not the recipe's.
    """
    package, quantized = package_recipe(trained)
    oracle = open_oracle(package.tflite, package.name)
    outputs = oracle.run(as_model_input(trained.held_out.x)).reshape(len(trained.held_out), -1)
    # argmax takes the lowest index on ties, as the board's `top` does.
    predicted = outputs.argmax(axis=1)
    confusion = np.zeros((len(package.labels), len(package.labels)), np.int64)
    np.add.at(confusion, (trained.held_out.label, predicted), 1)
    accuracy = float(np.mean(predicted == trained.held_out.label))
    return RecipeModel(trained, package, quantized.layers, oracle.name, outputs, accuracy, confusion)
