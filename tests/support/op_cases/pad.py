"""PAD cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "PAD"


def pad_case(name: str, shape: tuple[int, ...], paddings: list[list[int]], zero_point: int = 13, dtype: DType = DType.INT8) -> OpCase:
    """One padding."""
    b = TfliteBuilder()
    x = b.tensor(shape, dtype, scale=0.1, zero_point=zero_point)
    p = b.tensor((len(shape), 2), DType.INT32, data=paddings)
    out = tuple(d + before + after for d, (before, after) in zip(shape, paddings, strict=True))
    y = b.tensor(out, dtype, scale=0.1, zero_point=zero_point)
    b.op("PAD", [x, p], [y])
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield pad_case("pad_hw", (1, 5, 4, 3), [[0, 0], [1, 1], [2, 0], [0, 0]])
    yield pad_case("pad_channels", (1, 3, 3, 2), [[0, 0], [0, 0], [0, 0], [1, 4]])
    yield pad_case("pad_everything", (1, 2, 3, 2), [[0, 0], [2, 1], [0, 3], [1, 1]])
    yield pad_case("pad_nothing", (1, 2, 3, 2), [[0, 0]] * 4)
    yield pad_case("pad_rank_2", (1, 9), [[0, 0], [3, 2]])
    yield pad_case("pad_rank_3", (1, 4, 2), [[0, 0], [1, 0], [2, 0]], zero_point=-128)
    yield pad_case("pad_s16", (1, 5, 4, 3), [[0, 0], [1, 1], [2, 0], [0, 0]], zero_point=0, dtype=DType.INT16)
    yield pad_case("pad_s16_everything", (1, 2, 3, 2), [[0, 0], [2, 1], [0, 3], [1, 1]], zero_point=0, dtype=DType.INT16)
    yield pad_case("pad_s16_rank_2", (1, 9), [[0, 0], [3, 2]], zero_point=0, dtype=DType.INT16)
