"""The gesture recipe's network: four small convolutions over time."""

from __future__ import annotations

from typing import Any

from tinyfleet.train import RecipeSpec

FILTERS = (16, 24, 32, 32)
KERNEL_SAMPLES = 5


def build_network(spec: RecipeSpec) -> Any:
    """An untrained Keras model: float ``[n, window, 1, channels]`` -> probabilities ``[n, classes]``, 12,007 parameters.

    Time is the height of an image of width 1, because Conv1D would add EXPAND_DIMS to the converted model.
    """
    from keras import Input, Model, layers  # noqa: PLC0415 - heavy, and part of the training extra

    x = inputs = Input((spec.frontend.window_samples, 1, spec.frontend.channels))
    for i, filters in enumerate(FILTERS):
        x = layers.Conv2D(filters, (KERNEL_SAMPLES, 1), padding="same", use_bias=False, name=f"conv{i + 1}")(x)
        x = layers.BatchNormalization(name=f"norm{i + 1}")(x)
        x = layers.ReLU(name=f"relu{i + 1}")(x)
        if i < len(FILTERS) - 1:
            x = layers.MaxPooling2D((2, 1), name=f"pool{i + 1}")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.4, name="dropout")(x)
    outputs = layers.Dense(len(spec.labels), activation="softmax", name="classes")(x)
    return Model(inputs, outputs, name=spec.name)
