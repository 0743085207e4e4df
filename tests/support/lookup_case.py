"""Models of one function of one value, for all of them."""

from __future__ import annotations

from typing import Any

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType


def lookup_case(
    name: str,
    op: str,
    scales: tuple[float, float],
    zero_points: tuple[int, int],
    *,
    shape: tuple[int, ...] = (1, 500),
    **options: Any,
) -> OpCase:
    """One op; by default on so many elements that eight random inputs hold every value."""
    b = TfliteBuilder()
    x = b.tensor(shape, scale=scales[0], zero_point=zero_points[0])
    y = b.tensor(shape, scale=scales[1], zero_point=zero_points[1])
    b.op(op, [x], [y], **options)
    return OpCase(name, b.build([x], [y]))


def int16_case(
    name: str, op: str, scales: tuple[float, float], *, shape: tuple[int, ...] = (1, 700), stretch: float = 1.0, **options: Any
) -> OpCase:
    """One op in int16; with a stretch, values are first multiplied by it, so that many saturate at both ends."""
    b = TfliteBuilder()
    first = x = b.tensor(shape, DType.INT16, scale=scales[0] * stretch)
    if stretch != 1.0:
        x = b.tensor(shape, DType.INT16, scale=scales[0])
        b.op("QUANTIZE", [first], [x])
    y = b.tensor(shape, DType.INT16, scale=scales[1])
    b.op(op, [x], [y], **options)
    return OpCase(name, b.build([first], [y]))
