"""Models of one function of two tensors, for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.ir import NUMPY_DTYPES
from tinyfleet_codegen.wire.ids import DType


def binary_case(
    name: str,
    op: str,
    shape: tuple[int, ...],
    other: tuple[int, ...],
    *,
    scales: tuple[float, float, float] = (0.03, 0.07, 0.05),
    zero_points: tuple[int, int, int] = (4, -11, 7),
    swap: bool = False,
    dtype: DType = DType.INT8,
    **options: Any,
) -> OpCase:
    """The input and a constant that broadcast."""
    rng = rng_for(name)
    b = TfliteBuilder()
    limit = 2 ** (8 * np.dtype(NUMPY_DTYPES[dtype]).itemsize - 1)
    data = rng.integers(-limit, limit, other)
    data.flat[0] = -limit
    x = b.tensor(shape, dtype, scale=scales[0], zero_point=zero_points[0])
    c = b.tensor(other, dtype, scale=scales[1], zero_point=zero_points[1], data=data)
    rank = max(len(shape), len(other))
    padded = [(1,) * (rank - len(s)) + s for s in (shape, other)]
    out = tuple(max(p, q) for p, q in zip(*padded, strict=True))
    y = b.tensor(out, dtype, scale=scales[2], zero_point=zero_points[2])
    b.op(op, [c, x] if swap else [x, c], [y], **options)
    return OpCase(name, b.build([x], [y]))


def with_itself_case(
    name: str,
    op: str,
    *,
    scales: tuple[float, float] = (0.05, 0.09),
    zero_points: tuple[int, int] = (-20, 1),
    dtype: DType = DType.INT8,
) -> OpCase:
    """The input twice."""
    b = TfliteBuilder()
    x = b.tensor((1, 4, 5, 3), dtype, scale=scales[0], zero_point=zero_points[0])
    y = b.tensor((1, 4, 5, 3), dtype, scale=scales[1], zero_point=zero_points[1])
    b.op(op, [x, x], [y])
    return OpCase(name, b.build([x], [y]))


def two_activations_case(name: str, op: str, scales: tuple[float, float, float], zero_points: tuple[int, int, int]) -> OpCase:
    """Two halves of the input, neither of them a constant, of many elements."""
    b = TfliteBuilder()
    shape = (1, 1, 30, 40)
    x = b.tensor((1, 2, 30, 40), scale=0.1)
    halves = [b.tensor(shape, scale=0.1) for _ in range(2)]
    scaled = [b.tensor(shape, scale=scales[i], zero_point=zero_points[i]) for i in range(2)]
    y = b.tensor(shape, scale=scales[2], zero_point=zero_points[2])
    b.op("SPLIT", [b.tensor((), DType.INT32, data=1), x], halves, numSplits=2)
    for half, target in zip(halves, scaled, strict=True):
        b.op("QUANTIZE", [half], [target])
    b.op(op, scaled, [y])
    return OpCase(name, b.build([x], [y]))


def precise_case(name: str, op: str, scales: tuple[float, float, float], constant: int) -> OpCase:
    """Scales with which one pair of values rounds another way when the ratios of scales are computed in float32."""
    b = TfliteBuilder()
    x, y = b.tensor((1, 1500), scale=scales[0]), b.tensor((1, 1500), scale=scales[2])
    b.op(op, [x, b.tensor((1,), scale=scales[1], data=[constant])], [y])
    return OpCase(name, b.build([x], [y]))


def broadcast_cases(op: str, prefix: str, **options: Any) -> Iterator[OpCase]:
    """The shapes that every op is tried with."""
    yield binary_case(f"{prefix}_same_shape", op, (1, 4, 5, 3), (1, 4, 5, 3), **options)
    yield binary_case(f"{prefix}_swapped", op, (1, 4, 5, 3), (1, 4, 5, 3), swap=True, **options)
    yield binary_case(f"{prefix}_channels", op, (1, 4, 5, 3), (3,), **options)
    yield binary_case(f"{prefix}_channels_first", op, (1, 4, 5, 3), (3,), swap=True, **options)
    yield binary_case(f"{prefix}_scalar", op, (1, 4, 5, 3), (1,), **options)
    yield binary_case(f"{prefix}_row", op, (1, 4, 5, 3), (1, 1, 5, 1), **options)
    yield binary_case(f"{prefix}_broadcasts_input", op, (1, 1, 1, 3), (1, 4, 5, 3), **options)
    yield binary_case(f"{prefix}_broadcasts_both", op, (1, 4, 1, 3), (1, 1, 5, 1), **options)
    yield binary_case(f"{prefix}_rank_2", op, (1, 11), (1, 11), **options)


def int16_cases(op: str, prefix: str, scales: tuple[float, float, float], **options: Any) -> Iterator[OpCase]:
    """The shapes and values that every op is tried with in int16: extremes meet extremes, saturation, ties."""
    for suffix, shape, other in (
        ("", (1, 4, 5, 3), (1, 4, 5, 3)),
        ("_channels", (1, 4, 5, 3), (3,)),
        ("_scalar", (1, 33), (1,)),
        ("_both", (1, 4, 1, 3), (1, 1, 5, 1)),
    ):
        yield binary_case(
            f"{prefix}_s16{suffix}",
            op,
            shape,
            other,
            scales=scales,
            zero_points=(0, 0, 0),
            dtype=DType.INT16,
            swap=suffix == "_both",
            **options,
        )
    yield with_itself_case(f"{prefix}_s16_itself", op, scales=(scales[0], scales[2]), zero_points=(0, 0), dtype=DType.INT16)
