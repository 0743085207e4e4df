"""QUANTIZE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "QUANTIZE"


def quantize_case(name: str, source: DType, target: DType, scales: tuple[float, float], zero_points: tuple[int, int]) -> OpCase:
    """One change of type or scale."""
    b = TfliteBuilder()
    shape = (1, 300)
    is_float = source is DType.FLOAT32
    x = b.tensor(shape, source) if is_float else b.tensor(shape, source, scale=scales[0], zero_point=zero_points[0])
    y = b.tensor(shape, target, scale=scales[1], zero_point=zero_points[1])
    b.op("QUANTIZE", [x], [y])
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield quantize_case("quantize_float", DType.FLOAT32, DType.INT8, (0, 0.07), (0, 3))
    # Seeded floats are multiples of 1/16: a scale of 1/8 puts every other one on a tie.
    yield quantize_case("quantize_float_ties", DType.FLOAT32, DType.INT8, (0, 0.125), (0, -1))
    yield quantize_case("quantize_float_saturating", DType.FLOAT32, DType.INT8, (0, 0.001), (0, 0))
    yield quantize_case("quantize_s8_s8", DType.INT8, DType.INT8, (0.05, 0.03), (7, -4))
    yield quantize_case("quantize_s8_s8_same", DType.INT8, DType.INT8, (0.05, 0.05), (7, 7))
    yield quantize_case("quantize_s8_s8_down", DType.INT8, DType.INT8, (0.05, 0.8), (0, 100))
    yield quantize_case("quantize_s8_s8_ties", DType.INT8, DType.INT8, (0.5, 1.0), (0, 0))
    yield quantize_case("quantize_s8_u8", DType.INT8, DType.UINT8, (0.05, 0.05), (-3, 125))
    yield quantize_case("quantize_u8_s8", DType.UINT8, DType.INT8, (0.05, 0.05), (125, -3))
    yield quantize_case("quantize_u8_s8_scaled", DType.UINT8, DType.INT8, (0.05, 0.09), (0, -128))
    yield quantize_case("quantize_float_s16", DType.FLOAT32, DType.INT16, (0, 0.0007), (0, 0))
    yield quantize_case("quantize_float_s16_ties", DType.FLOAT32, DType.INT16, (0, 0.125), (0, 0))
    yield quantize_case("quantize_float_s16_saturating", DType.FLOAT32, DType.INT16, (0, 0.0001), (0, 0))
    yield quantize_case("quantize_s8_s16", DType.INT8, DType.INT16, (0.05, 0.0003), (7, 0))
    yield quantize_case("quantize_s8_s16_saturating", DType.INT8, DType.INT16, (0.5, 0.0003), (-128, 0))
    yield quantize_case("quantize_s16_s8", DType.INT16, DType.INT8, (0.0003, 0.06), (0, -5))
    yield quantize_case("quantize_s16_s8_ties", DType.INT16, DType.INT8, (0.25, 64.0), (0, 0))
    yield quantize_case("quantize_s16_s16", DType.INT16, DType.INT16, (0.0003, 0.0005), (0, 0))
    yield quantize_case("quantize_s16_s16_same", DType.INT16, DType.INT16, (0.0003, 0.0003), (0, 0))
    yield quantize_case("quantize_s16_s16_saturating", DType.INT16, DType.INT16, (0.0003, 0.0001), (0, 0))
    yield quantize_case("quantize_s16_s16_ties", DType.INT16, DType.INT16, (0.25, 0.5), (0, 0))
    yield quantize_case("quantize_s16_s16_zero_points", DType.INT16, DType.INT16, (0.25, 0.3), (100, -3000))
