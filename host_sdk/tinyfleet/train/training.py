"""Train a recipe's network on the features that the board will compute."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyfleet.train.recipe import Recipe, load_recipe
from tinyfleet.train.recording import Recording, WindowSet, cut_windows, of_subjects
from tinyfleet.train.tensorflow_runtime import import_tensorflow, native_stdout_to_stderr

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (epochs done, epochs in all)."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained float network with the data that judged it.

    Attributes:
        seed: Seed of weights, shuffling and dropout; the same seed gives the same weights on one machine and one set of versions.
        keras_file: The model as the bytes of a ``.keras`` file.
        parameter_count: Trainable and fixed weights.
        float_accuracy: Share of held-out windows that the float network gets right.
        train: Windows of the training subjects.
        held_out: Windows of the unseen subjects.
        replay: Recordings of one unseen subject, to be replayed into a board.
        seconds: Time that training took, without loading.
    """

    recipe: Recipe
    seed: int
    keras_file: bytes
    parameter_count: int
    float_accuracy: float
    train: WindowSet
    held_out: WindowSet
    replay: tuple[Recording, ...]
    seconds: float


def dequantize(x: npt.NDArray[np.int8], scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """Real values of quantized ones, float32 of the same shape."""
    return ((x.astype(np.int32) - zero_point) * scale).astype(np.float32)


def as_model_input(x: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Windows ``[n, window, channels]`` in the shape of a recipe's network: time is the height of an image of width 1."""
    return x[:, :, None, :]


def model_input(windows: WindowSet, recipe: Recipe) -> npt.NDArray[np.float32]:
    """Float features ``[n, window, 1, channels]``: exactly the values that the board's int8 input stands for."""
    return dequantize(as_model_input(windows.x), recipe.spec.input_scale, recipe.spec.input_zero_point)


def load_windows(recipe: Recipe) -> tuple[WindowSet, WindowSet, tuple[Recording, ...]]:
    """(training windows, held-out windows, recordings of the subject to replay)."""
    spec = recipe.spec
    recordings = recipe.load_recordings(spec)

    def cut(subjects: tuple[str, ...]) -> WindowSet:
        return cut_windows(of_subjects(recordings, subjects), spec.frontend, spec.input_scale, spec.input_zero_point)

    return cut(spec.train_subjects), cut(spec.test_subjects), of_subjects(recordings, spec.test_subjects[:1])


def train_recipe(name: str, seed: int | None = None, *, epochs: int | None = None, progress: Progress | None = None) -> TrainedModel:
    """Train one recipe from scratch.

    Args:
        seed: Instead of the recipe's own.
        epochs: Instead of the recipe's own; fewer give a quick and bad model.
        progress: Called after each epoch.

    Raises:
        UsageError: there is no such recipe.
        SetupError: TensorFlow or the recipe's data package is not installed.
    """
    recipe = load_recipe(name)
    spec = recipe.spec
    seed = spec.seed if seed is None else seed
    epochs = spec.epochs if epochs is None else epochs
    train, held_out, replay = load_windows(recipe)
    tensorflow, keras = import_tensorflow()
    started = time.monotonic()
    with native_stdout_to_stderr():
        keras.backend.clear_session()  # layer names must not depend on earlier models
        keras.utils.set_random_seed(seed)
        tensorflow.config.experimental.enable_op_determinism()
        network = recipe.build_network(spec)
        steps = epochs * -(-len(train) // spec.batch_size)
        network.compile(
            optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(spec.learning_rate, steps)),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        report = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _logs: progress and progress(epoch + 1, epochs))
        network.fit(model_input(train, recipe), train.label, batch_size=spec.batch_size, epochs=epochs, verbose=0, callbacks=[report])
        scores = network.predict(model_input(held_out, recipe), verbose=0)
        with tempfile.TemporaryDirectory(prefix="tinyfleet-train-") as folder:
            path = Path(folder) / f"{spec.name}.keras"
            network.save(path)
            keras_file = path.read_bytes()
    accuracy = float(np.mean(scores.argmax(axis=1) == held_out.label))
    seconds = time.monotonic() - started
    log.info("trained recipe=%s seed=%d epochs=%d accuracy=%.4f seconds=%.1f", name, seed, epochs, accuracy, seconds)
    return TrainedModel(recipe, seed, keras_file, int(network.count_params()), accuracy, train, held_out, replay, seconds)
