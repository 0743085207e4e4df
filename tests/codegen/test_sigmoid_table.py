"""Logistic and tanh of int16: every value equals TFLite Micro's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.quant import Int64Array
from tinyfleet_codegen.sigmoid_table import logistic_q15, tanh_q15
from tinyfleet_codegen.wire.ids import DType


@pytest.mark.parametrize(("op", "function"), [("LOGISTIC", logistic_q15), ("TANH", tanh_q15)])
def test_every_int16_equals_the_oracle(op: str, function: Callable[[Int64Array], Int64Array]) -> None:
    from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415

    b = TfliteBuilder()
    x = b.tensor((1, 1 << 16), DType.INT16, scale=2.0**-12)
    y = b.tensor((1, 1 << 16), DType.INT16, scale=2.0**-15)
    b.op(op, [x], [y])
    interpreter = runtime.Interpreter.from_bytes(b.build([x], [y]), arena_size=1 << 20)
    values = np.arange(-(2**15), 2**15)
    interpreter.set_input(values[None].astype(np.int16), 0)
    interpreter.invoke()
    np.testing.assert_array_equal(function(values), interpreter.get_output(0)[0])
