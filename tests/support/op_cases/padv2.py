"""PADV2 cases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "PADV2"


def padv2_case(name: str, shape: tuple[int, ...], paddings: list[list[int]], value: int, dtype: DType = DType.INT8) -> OpCase:
    """One padding with a value."""
    b = TfliteBuilder()
    zero_point = 0 if dtype is DType.INT16 else -3
    x = b.tensor(shape, dtype, scale=0.1, zero_point=zero_point)
    p = b.tensor((len(shape), 2), DType.INT32, data=paddings)
    v = b.tensor((), dtype, scale=0.1, zero_point=zero_point, data=value)
    padded = tuple(int(d + s) for d, s in zip(shape, np.sum(paddings, axis=1), strict=True))
    y = b.tensor(padded, dtype, scale=0.1, zero_point=zero_point)
    b.op(OP, [x, p, v], [y])
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield padv2_case("padv2_hw", (1, 5, 4, 3), [[0, 0], [1, 1], [2, 0], [0, 0]], 17)
    yield padv2_case("padv2_lowest", (1, 3, 3, 2), [[0, 0], [0, 1], [1, 1], [1, 4]], -128)
    yield padv2_case("padv2_zero_point", (1, 4, 2), [[0, 0], [1, 0], [2, 0]], -3)
    yield padv2_case("padv2_rank_2", (1, 9), [[0, 0], [3, 2]], 127)
    yield padv2_case("padv2_s16", (1, 3, 3, 2), [[0, 0], [0, 1], [1, 1], [1, 4]], -32768, DType.INT16)
