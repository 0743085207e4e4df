"""Keras networks of the ops that there are in int16, for ``tests/support/converted_models.py``."""

from __future__ import annotations

from typing import Any

import keras

layers: Any = keras.layers
ops: Any = keras.ops


def convolutions(x: Any) -> Any:
    """Convolutions of all kinds, pools, elementwise ops, TANH, LOGISTIC, SOFTMAX."""
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.Conv2D(8, 1)(layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x))
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(layers.Add()([x, y]))
    x = layers.MaxPooling2D(2)(layers.LeakyReLU(0.1)(x))
    a, b = layers.Conv2D(4, 1, activation="tanh")(x), layers.Conv2D(4, 1, activation="sigmoid")(x)
    x = layers.Concatenate()([layers.Multiply()([a, b]), layers.Subtract()([a, x])])
    x = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(layers.ZeroPadding2D(1)(x)))
    return layers.Dense(4, activation="softmax")(x)


def attention(x: Any) -> Any:
    """Dense layers by row, BATCH_MATMUL, SOFTMAX by row, SPLIT, MINIMUM, SUM."""
    x = layers.Dense(8, activation="relu")(x)
    query, key, value = (layers.Dense(8)(x) for _ in range(3))
    weights = layers.Softmax()(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
    first, second = ops.split(layers.Add()([x, ops.matmul(weights, value)]), 2, axis=1)
    return layers.Dense(4)(ops.sum(layers.Minimum()([first, second]), axis=1))
