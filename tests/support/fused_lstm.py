"""A Keras LSTM as a function that TensorFlow's converter takes for one operator because of its marks: Keras 3 itself sets none."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow

tf: Any = tensorflow
layers: Any = keras.layers


def fused_lstm(x: Any) -> Any:
    """Two LSTM layers and a dense one."""
    _, sequence = fuse(layers.LSTM(7, return_sequences=True), x)
    last, _ = fuse(layers.LSTM(5), sequence)
    return layers.Dense(3)(last)


def fuse(lstm: Any, x: Any) -> Any:
    """Last output ``[1, units]`` and sequence ``[1, steps, units]``, with the layer's weights; ``x`` is a symbolic ``[1, steps, n]``."""
    lstm.build(x.shape)
    marks = {"api_implements": f"lstm_{lstm.name}", "time_major": False, "go_backwards": False}

    def run(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        rows = []
        for step in range(x.shape[1]):
            i, f, g, o = tf.split(x[:, step] @ kernel + h @ recurrent + bias, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            rows.append(h)
        # The converter wants five results, of which only the first two are used.
        return h, tf.stack(rows, axis=1), h, c, tf.constant(1.0)

    marked = tf.function(run, experimental_attributes=marks)

    class Fused(layers.Layer):  # type: ignore[misc]
        """Keras needs a layer around a function of tensors."""

        def call(self, x: Any) -> Any:
            """See :func:`fuse`."""
            zeros, cell = tf.zeros((1, lstm.units)), lstm.cell
            return marked(x, zeros, zeros, *map(tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, cell.bias)))[:2]

    return Fused()(x)
