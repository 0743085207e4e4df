"""Models of one reduction, for all of them."""

from __future__ import annotations

from collections.abc import Iterator

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
    dtype: DType = DType.INT8,
) -> OpCase:
    """One reduction."""
    b = TfliteBuilder()
    reduced = {a % len(shape) for a in axes}
    out = tuple(1 if i in reduced else d for i, d in enumerate(shape) if keep or i not in reduced)
    x = b.tensor(shape, dtype, scale=scales[0], zero_point=zero_points[0])
    a = b.tensor((len(axes),), DType.INT32, data=axes)
    y = b.tensor(out, dtype, scale=scales[1], zero_point=zero_points[1])
    b.op(op, [x, a], [y], keepDims=keep)
    return OpCase(name, b.build([x], [y]))


def int16_cases(op: str, prefix: str, scales: tuple[float, float]) -> Iterator[OpCase]:
    """What both sums are tried with in int16."""
    for suffix, shape, axes, keep in (
        ("", (1, 6, 5, 7), [1, 2], False),
        ("_keep", (1, 6, 5, 7), [2], True),
        ("_channels", (1, 6, 7), [-1], False),
        ("_apart", (1, 4, 3, 5), [1, 3], False),
    ):
        yield reduce_case(f"{prefix}_s16{suffix}", op, shape, axes, keep=keep, scales=scales, zero_points=(0, 0), dtype=DType.INT16)
    yield reduce_case(f"{prefix}_s16_ties", op, (1, 2, 2, 4), [1, 2], scales=(0.5, 0.5), zero_points=(0, 0), dtype=DType.INT16)
    yield reduce_case(f"{prefix}_s16_saturating", op, (1, 3, 3, 4), [1, 2], scales=(0.5, 0.1), zero_points=(0, 0), dtype=DType.INT16)
