"""Keras models with many different ops through TensorFlow's converter: ``python -m tests.support.converted_models FOLDER``.

What the converter writes is not what tests build by hand: fused activations, float islands, constants in odd places.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAMES = ("attention", "conv1d", "decoder", "elementwise", "fused_lstm", "gru", "lstm", "mobile", "norm")


def main(folder: Path) -> None:
    """Convert every model to int8 (``conv1d`` with uint8 outside)."""
    import keras  # noqa: PLC0415 - imports TensorFlow
    import numpy as np  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    from tests.support.fused_lstm import fused_lstm  # noqa: PLC0415

    layers: Any = keras.layers
    ops: Any = keras.ops

    def attention(x: Any) -> Any:
        x = layers.Dense(8)(x)
        n = layers.LayerNormalization()(x)
        query, key, value = (layers.Dense(8)(n) for _ in range(3))
        weights = layers.Softmax()(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
        x = layers.Add()([x, ops.matmul(weights, value)])
        return layers.Dense(4)(layers.GlobalAveragePooling1D()(x))

    def conv1d(x: Any) -> Any:
        x = layers.Conv1D(8, 5, activation="elu")(x)
        x = layers.Conv1D(8, 3, dilation_rate=2, padding="causal", activation="swish")(x)
        return layers.Dense(4)(layers.Flatten()(layers.MaxPooling1D(2)(x)))

    def decoder(x: Any) -> Any:
        x = layers.Activation("hard_silu")(layers.Conv2D(8, 3, padding="same")(x))
        x = layers.LeakyReLU(0.1)(layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x))
        x = layers.GlobalMaxPooling2D()(layers.UpSampling2D(2, interpolation="bilinear")(x))
        return layers.Dense(4, activation="sigmoid")(x)

    def elementwise(x: Any) -> Any:
        a = layers.Conv2D(4, 3, activation="relu6", padding="same")(x)
        b = layers.Conv2D(4, 1, activation="tanh")(x)
        y = layers.PReLU(shared_axes=[1, 2])(layers.Add()([a, b]))
        y = layers.Subtract()([layers.Multiply()([y, b]), a])
        y = layers.Maximum()([layers.Concatenate()([y, a]), layers.Conv2D(8, 1)(x)])
        return layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Permute((3, 1, 2))(y)))

    def gru(x: Any) -> Any:
        return layers.Dense(3)(layers.GRU(4, unroll=True)(x))

    def lstm(x: Any) -> Any:
        return layers.Dense(3, activation="softmax")(layers.LSTM(5, unroll=True)(x))

    def mobile(x: Any) -> Any:
        x = layers.SeparableConv2D(8, 3)(layers.ZeroPadding2D(1)(x))
        x = layers.Cropping2D(((1, 2), (0, 3)))(layers.ReLU(max_value=6)(layers.BatchNormalization()(x)))
        squeezed = layers.Conv2D(2, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
        x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="hard_sigmoid")(squeezed)])
        left, right = ops.split(x, 2, axis=-1)
        return layers.Dense(2)(ops.sum(ops.abs(layers.Minimum()([left, right])), axis=(1, 2)))

    def norm(x: Any) -> Any:
        x = ops.max(layers.Conv2D(4, 3, padding="same")(x), axis=(1, 2))
        return layers.Dense(3)(x / ops.sqrt(ops.sum(x * x, axis=-1, keepdims=True) + 1e-3))

    shapes = [(20, 8), (64, 3), (16, 16, 3), (12, 12, 2), (10, 6), (10, 6), (10, 6), (16, 16, 3), (8, 8, 2)]
    makers: list[Callable[[Any], Any]] = [attention, conv1d, decoder, elementwise, fused_lstm, gru, lstm, mobile, norm]
    for name, shape, make in zip(NAMES, shapes, makers, strict=True):
        keras.utils.set_random_seed(7)
        rng = np.random.default_rng(7)

        def calibration(shape: tuple[int, ...] = shape, rng: Any = rng) -> Iterator[list[Any]]:
            for _ in range(20):
                yield [rng.normal(size=(1, *shape)).astype(np.float32)]

        source = keras.Input(batch_shape=(1, *shape))
        converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(source, make(source)))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        outside = tf.uint8 if name == "conv1d" else tf.int8
        converter.inference_input_type = converter.inference_output_type = outside
        (folder / f"{name}.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
