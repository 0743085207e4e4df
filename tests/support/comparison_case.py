"""Models of one comparison, for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

SHAPE = (1, 4, 5, 3)


def comparison_case(
    name: str,
    op: str,
    shape: tuple[int, ...] = SHAPE,
    other: tuple[int, ...] = SHAPE,
    *,
    scales: tuple[float, float] = (0.05, 0.03),
    zero_points: tuple[int, int] = (4, -11),
    swap: bool = False,
) -> OpCase:
    """The input and a constant that broadcast."""
    b = TfliteBuilder()
    x = b.tensor(shape, scale=scales[0], zero_point=zero_points[0])
    c = b.tensor(other, scale=scales[1], zero_point=zero_points[1], data=rng_for(name).integers(-128, 128, other))
    y = b.tensor(np.broadcast_shapes(shape, other), DType.BOOL)
    b.op(op, [c, x] if swap else [x, c], [y])
    return OpCase(name, b.build([x], [y]))


def two_scales_case(name: str, op: str) -> OpCase:
    """Two halves of the input, of many elements and two scales."""
    b = TfliteBuilder()
    half = (1, 1, 30, 40)
    x = b.tensor((1, 2, 30, 40), scale=0.1)
    halves = [b.tensor(half, scale=0.1) for _ in range(2)]
    scaled = [b.tensor(half, scale=s, zero_point=z) for s, z in ((0.0313, -3), (0.0717, 17))]
    y = b.tensor(half, DType.BOOL)
    b.op("SPLIT", [b.tensor((), DType.INT32, data=1), x], halves, numSplits=2)
    for part, target in zip(halves, scaled, strict=True):
        b.op("QUANTIZE", [part], [target])
    b.op(op, scaled, [y])
    return OpCase(name, b.build([x], [y]))


def index_case(name: str, op: str, other: tuple[int, ...] | None = (), *, swap: bool = False) -> OpCase:
    """Where rows are largest, int32, and constants, or where they are largest elsewhere."""
    b = TfliteBuilder()
    x = b.tensor((1, 40, 3), scale=0.1)
    indices = []
    for axis in (2, 2) if other is None else (2,):
        source = x if not indices else b.tensor((1, 40, 3), scale=0.1)
        if indices:
            b.op("RELU6", [x], [source])
        indices.append(b.tensor((1, 40), DType.INT32))
        b.op("ARG_MAX", [source, b.tensor((), DType.INT32, data=axis)], [indices[-1]], outputType=int(DType.INT32))
    if other is not None:
        data = rng_for(name).integers(0, 3, other) if other else 1
        indices.append(b.tensor(other, DType.INT32, data=data))
    y = b.tensor((1, 40), DType.BOOL)
    b.op(op, indices[::-1] if swap else indices, [y])
    return OpCase(name, b.build([x], [y]))


def bool_case(name: str, op: str, other: tuple[int, ...]) -> OpCase:
    """Whether elements are positive, and constants."""
    b = TfliteBuilder()
    x = b.tensor(SHAPE, scale=0.1, zero_point=3)
    is_positive = b.tensor(SHAPE, DType.BOOL)
    b.op("GREATER", [x, b.tensor((1,), scale=0.1, zero_point=3, data=[3])], [is_positive])
    y = b.tensor(SHAPE, DType.BOOL)
    b.op(op, [is_positive, b.tensor(other, DType.BOOL, data=rng_for(name).integers(0, 2, other))], [y])
    return OpCase(name, b.build([x], [y]))


def comparison_cases(op: str) -> Iterator[OpCase]:
    """What every comparison is tried with."""
    prefix = op.lower()
    wide = (1, 16, 16, 4)
    yield comparison_case(f"{prefix}_same_shape", op)
    yield comparison_case(f"{prefix}_swapped", op, swap=True)
    yield comparison_case(f"{prefix}_channels", op, SHAPE, (3,))
    yield comparison_case(f"{prefix}_channels_first", op, SHAPE, (3,), swap=True)
    yield comparison_case(f"{prefix}_scalar", op, SHAPE, (1,))
    yield comparison_case(f"{prefix}_broadcasts_both", op, (1, 4, 1, 3), (1, 1, 5, 1))
    yield comparison_case(f"{prefix}_rank_2", op, (1, 11), (1, 11))
    yield comparison_case(f"{prefix}_one_scale", op, wide, wide, scales=(0.05, 0.05), zero_points=(7, 7))
    # Neighbours round to the same number: half a unit apart, then a few units, then all of them.
    yield comparison_case(f"{prefix}_ties", op, wide, wide, scales=(2.0**-9, 2.0**-10), zero_points=(0, 0))
    yield comparison_case(f"{prefix}_coarse", op, wide, wide, scales=(0.0007, 0.0011))
    yield comparison_case(f"{prefix}_smallest_scales", op, scales=(1e-12, 1e-8))
    yield comparison_case(f"{prefix}_largest_scales", op, wide, wide, scales=(0.99999, 0.9999), zero_points=(5, -128))
    yield two_scales_case(f"{prefix}_activations", op)
    yield index_case(f"{prefix}_s32_scalar", op)
    yield index_case(f"{prefix}_s32_swapped", op, (1, 40), swap=True)
    yield index_case(f"{prefix}_s32_activations", op, None)
    if op in ("EQUAL", "NOT_EQUAL"):
        yield bool_case(f"{prefix}_bool", op, SHAPE)
        yield bool_case(f"{prefix}_bool_channels", op, (3,))
