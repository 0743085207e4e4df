"""Models of one reduction, for all of them."""

from __future__ import annotations

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType


def reduce_case(
    name: str,
    op: str,
    shape: tuple[int, ...],
    axes: list[int],
    *,
    keep: bool = False,
    scales: tuple[float, float] = (0.04, 0.02),
    zero_points: tuple[int, int] = (5, -3),
) -> OpCase:
    """One reduction."""
    b = TfliteBuilder()
    reduced = {a % len(shape) for a in axes}
    out = tuple(1 if i in reduced else d for i, d in enumerate(shape) if keep or i not in reduced)
    x = b.tensor(shape, scale=scales[0], zero_point=zero_points[0])
    a = b.tensor((len(axes),), DType.INT32, data=axes)
    y = b.tensor(out, scale=scales[1], zero_point=zero_points[1])
    b.op(op, [x, a], [y], keepDims=keep)
    return OpCase(name, b.build([x], [y]))
