"""PACK cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import SCALE, ZERO_POINT
from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "PACK"


def pack_case(
    name: str, shape: tuple[int, ...], axis: int, *, count: int = 3, input_at: tuple[int, ...] = (0,), dtype: DType = DType.INT8
) -> OpCase:
    """The input at each of ``input_at``, constants elsewhere."""
    rng = rng_for(name)
    b = TfliteBuilder()
    x = b.tensor(shape, dtype, scale=SCALE, zero_point=ZERO_POINT)
    inputs = [
        x if i in input_at else b.tensor(shape, dtype, scale=SCALE, zero_point=ZERO_POINT, data=rng.integers(-128, 128, shape))
        for i in range(count)
    ]
    at = axis % (len(shape) + 1)
    y = b.tensor((*shape[:at], count, *shape[at:]), dtype, scale=SCALE, zero_point=ZERO_POINT)
    b.op(OP, inputs, [y], valuesCount=count, axis=axis)
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield pack_case("pack_rows", (1, 5), 1)
    yield pack_case("pack_last", (1, 3, 4), -1, input_at=(1,))
    yield pack_case("pack_middle", (1, 3, 4), 2, count=2, input_at=(0, 1))
    yield pack_case("pack_one", (1, 3, 4), 1, count=1)
    yield pack_case("pack_s16", (1, 3, 4), -1, input_at=(1,), dtype=DType.INT16)
