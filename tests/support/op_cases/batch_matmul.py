"""BATCH_MATMUL cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "BATCH_MATMUL"


def matmul_case(
    name: str,
    left: tuple[int, ...],
    right: tuple[int, ...] | None,
    *,
    out: tuple[int, ...],
    adjoint: tuple[bool, bool] = (False, False),
    swap: bool = False,
    scales: tuple[float, float, float] = (0.04, 0.03, 0.2),
    zero_points: tuple[int, int, int] = (5, -9, 11),
    dtype: DType = DType.INT8,
) -> OpCase:
    """The input times a constant of the right shape (or the other way round), or times itself."""
    b = TfliteBuilder()
    x = b.tensor(left, dtype, scale=scales[0], zero_point=zero_points[0])
    c = x
    if right is not None:
        limit = 1 << 15 if dtype is DType.INT16 else 1 << 7
        data = rng_for(name).integers(-limit, limit, right)
        c = b.tensor(right, dtype, scale=scales[1], zero_point=zero_points[1], data=data)
    y = b.tensor(out, dtype, scale=scales[2], zero_point=zero_points[2])
    b.op(OP, [c, x] if swap else [x, c], [y], adjX=adjoint[0], adjY=adjoint[1])
    return OpCase(name, b.build([x], [y]))


def int16_case(
    name: str,
    left: tuple[int, ...],
    right: tuple[int, ...] | None,
    *,
    scales: tuple[float, float, float] = (0.0004, 0.0003, 0.05),
    **options: Any,
) -> OpCase:
    """The same in int16."""
    return matmul_case(name, left, right, scales=scales, zero_points=(0, 0, 0), dtype=DType.INT16, **options)


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield matmul_case("matmul", (1, 5, 7), (1, 7, 3), out=(1, 5, 3))
    yield matmul_case("matmul_transposed_right", (1, 5, 7), (1, 3, 7), out=(1, 5, 3), adjoint=(False, True))
    yield matmul_case("matmul_transposed_left", (1, 7, 5), (1, 7, 3), out=(1, 5, 3), adjoint=(True, False))
    yield matmul_case("matmul_transposed_both", (1, 7, 5), (1, 3, 7), out=(1, 5, 3), adjoint=(True, True))
    yield matmul_case("matmul_batches", (1, 4, 5, 6), (1, 4, 6, 3), out=(1, 4, 5, 3))
    yield matmul_case("matmul_broadcasts_right", (1, 4, 5, 6), (6, 3), out=(1, 4, 5, 3))
    yield matmul_case("matmul_broadcasts_left", (1, 1, 5, 6), (1, 4, 6, 3), out=(1, 4, 5, 3))
    yield matmul_case("matmul_constant_left", (1, 7, 3), (1, 5, 7), out=(1, 5, 3), swap=True)
    yield matmul_case("matmul_itself", (1, 2, 6, 6), None, out=(1, 2, 6, 6))
    yield matmul_case("matmul_itself_transposed", (1, 9, 4), None, out=(1, 9, 9), adjoint=(False, True))
    yield matmul_case("matmul_vector", (1, 1, 50), (1, 50, 1), out=(1, 1, 1))
    yield matmul_case("matmul_saturating", (1, 5, 20), (1, 20, 6), out=(1, 5, 6), scales=(0.5, 0.4, 0.05))
    yield matmul_case("matmul_ties", (1, 8, 3), (1, 3, 8), out=(1, 8, 8), scales=(0.5, 0.5, 8.0), zero_points=(0, 0, 0))
    yield matmul_case("matmul_extreme_zero_points", (1, 5, 9), (1, 9, 6), out=(1, 5, 6), zero_points=(-128, 127, -128))
    yield int16_case("matmul_s16", (1, 5, 7), (1, 7, 3), out=(1, 5, 3))
    yield int16_case("matmul_s16_transposed_both", (1, 7, 5), (1, 3, 7), out=(1, 5, 3), adjoint=(True, True))
    yield int16_case("matmul_s16_broadcasts_right", (1, 4, 5, 6), (6, 3), out=(1, 4, 5, 3))
    yield int16_case("matmul_s16_itself", (1, 2, 6, 6), None, out=(1, 2, 6, 6))
    yield int16_case("matmul_s16_saturating", (1, 5, 20), (1, 20, 6), out=(1, 5, 6), scales=(0.005, 0.004, 0.05))
    yield int16_case("matmul_s16_ties", (1, 8, 3), (1, 3, 8), out=(1, 8, 8), scales=(0.5, 0.5, 1024.0))
