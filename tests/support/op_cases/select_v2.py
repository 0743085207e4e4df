"""SELECT_V2 cases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "SELECT_V2"
SHAPE = (1, 4, 5, 3)
SCALE, ZERO_POINT = 0.04, -9


def chosen_case(
    name: str,
    condition: tuple[int, ...],
    a: tuple[int, ...],
    b: tuple[int, ...],
    *,
    constant_first: bool = False,
    dtype: DType = DType.INT8,
) -> OpCase:
    """A constant condition, the input and a constant."""
    rng, builder = rng_for(name), TfliteBuilder()
    zero_point = 0 if dtype is DType.INT16 else ZERO_POINT
    c = builder.tensor(condition, DType.BOOL, data=rng.integers(0, 2, condition))
    x = builder.tensor(a, dtype, scale=SCALE, zero_point=zero_point)
    k = builder.tensor(b, dtype, scale=SCALE, zero_point=zero_point, data=rng.integers(-128, 128, b))
    y = builder.tensor(np.broadcast_shapes(condition, a, b), dtype, scale=SCALE, zero_point=zero_point)
    builder.op(OP, [c, k, x] if constant_first else [c, x, k], [y])
    return OpCase(name, builder.build([x], [y]))


def compared_case(name: str, threshold: tuple[int, ...], other: tuple[int, ...]) -> OpCase:
    """The condition compares the input with a constant; where it holds, the input stays."""
    rng, builder = rng_for(name), TfliteBuilder()
    x = builder.tensor(SHAPE, scale=SCALE, zero_point=ZERO_POINT)
    t = builder.tensor(threshold, scale=0.07, zero_point=3, data=rng.integers(-128, 128, threshold))
    k = builder.tensor(other, scale=SCALE, zero_point=ZERO_POINT, data=rng.integers(-128, 128, other))
    c = builder.tensor(SHAPE, DType.BOOL)
    y = builder.tensor(SHAPE, scale=SCALE, zero_point=ZERO_POINT)
    builder.op("GREATER", [x, t], [c])
    builder.op(OP, [c, x, k], [y])
    return OpCase(name, builder.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield chosen_case("select_v2_same_shape", SHAPE, SHAPE, SHAPE)
    yield chosen_case("select_v2_constant_first", SHAPE, SHAPE, SHAPE, constant_first=True)
    yield chosen_case("select_v2_channels", (3,), SHAPE, SHAPE)
    yield chosen_case("select_v2_pixels", (1, 4, 5, 1), SHAPE, (3,))
    yield chosen_case("select_v2_broadcasts_input", SHAPE, (1, 1, 1, 3), SHAPE)
    yield chosen_case("select_v2_broadcasts_all", (1, 4, 1, 1), (1, 1, 5, 1), (1, 1, 1, 3))
    yield chosen_case("select_v2_scalar", (1, 11), (1, 11), (1,))
    yield compared_case("select_v2_compared", SHAPE, SHAPE)
    yield compared_case("select_v2_compared_scalar", (1,), (1,))
    yield chosen_case("select_v2_s16", SHAPE, SHAPE, SHAPE, dtype=DType.INT16)
    yield chosen_case("select_v2_s16_broadcasts", (1, 4, 1, 1), (1, 1, 5, 1), (1, 1, 1, 3), dtype=DType.INT16)
