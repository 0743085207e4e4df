"""Models of one function of one int8 value, for all of them."""

from __future__ import annotations

from typing import Any

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder


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
