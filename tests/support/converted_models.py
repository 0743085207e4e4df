"""Keras models with many different ops through TensorFlow's converter: ``python -m tests.support.converted_models FOLDER [NAME...]``.

What the converter writes is not what tests build by hand: fused activations, float islands, constants in odd places.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAMES = ("attention", "conv1d", "decoder", "elementwise", "fused_lstm", "gru", "int16", "int16_float", "lstm", "mobile", "norm")
INT16 = ("int16", "int16_float")
"""Models with int16 activations; the second with float32 outside."""


def convert(folder: Path, *names: str) -> None:
    """Write models, all when none is named, in a process of its own: TensorFlow takes seconds to import, and can die."""
    command = [sys.executable, "-m", "tests.support.converted_models", str(folder), *names]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert result.returncode == 0, result.stderr[-4000:]


def main(folder: Path, names: Sequence[str]) -> None:
    """Convert models to int8 (``conv1d`` with uint8 outside), or those of INT16 to int16 with int8 weights."""
    import keras  # noqa: PLC0415 - imports TensorFlow

    from tests.support.fused_lstm import fused_lstm  # noqa: PLC0415
    from tests.support.int16_networks import attention as int16_float  # noqa: PLC0415
    from tests.support.int16_networks import convolutions as int16  # noqa: PLC0415

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

    makers: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
        "attention": ((20, 8), attention),
        "conv1d": ((64, 3), conv1d),
        "decoder": ((16, 16, 3), decoder),
        "elementwise": ((12, 12, 2), elementwise),
        "fused_lstm": ((10, 6), fused_lstm),
        "gru": ((10, 6), gru),
        "int16": ((20, 12, 2), int16),
        "int16_float": ((20, 8), int16_float),
        "lstm": ((10, 6), lstm),
        "mobile": ((16, 16, 3), mobile),
        "norm": ((8, 8, 2), norm),
    }
    for name in names:
        (folder / f"{name}.tflite").write_bytes(_converted(name, *makers[name]))


def _converted(name: str, shape: tuple[int, ...], make: Callable[[Any], Any]) -> bytes:
    import keras  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)

    def calibration() -> Iterator[list[Any]]:
        for _ in range(20):
            yield [rng.normal(size=(1, *shape)).astype(np.float32)]

    source = keras.Input(batch_shape=(1, *shape))
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(source, make(source)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [wide if name in INT16 else tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    outside = {"conv1d": tf.uint8, "int16": tf.int16, "int16_float": tf.float32}.get(name, tf.int8)
    converter.inference_input_type = converter.inference_output_type = outside
    return bytes(converter.convert())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or NAMES)
