"""DEQUANTIZE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "DEQUANTIZE"


def cases() -> Iterator[OpCase]:
    """All cases."""
    for name, source, scale, zero_point in (
        ("dequantize_s8", DType.INT8, 0.0371, -7),
        ("dequantize_s8_extreme", DType.INT8, 3.0e-5, -128),
        ("dequantize_u8", DType.UINT8, 0.11, 128),
        ("dequantize_s16", DType.INT16, 0.00037, 0),
        ("dequantize_s16_zero_point", DType.INT16, 0.11, -1000),
    ):
        b = TfliteBuilder()
        x = b.tensor((1, 300), source, scale=scale, zero_point=zero_point)
        y = b.tensor((1, 300), DType.FLOAT32)
        b.op("DEQUANTIZE", [x], [y])
        yield OpCase(name, b.build([x], [y]))
