"""SHAPE cases: what converters write for Flatten, the sizes of the batch computed at run time."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import SCALE, ZERO_POINT, int_constant
from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "SHAPE"


def flatten_case(name: str, shape: tuple[int, ...], axis: int, dtype: DType = DType.INT8) -> OpCase:
    """SHAPE, one of its elements, PACK with -1, RESHAPE."""
    b = TfliteBuilder()
    rest = 1
    for d in shape:
        rest *= d
    x = b.tensor(shape, dtype, scale=SCALE, zero_point=ZERO_POINT)
    sizes, one = b.tensor((len(shape),), DType.INT32), b.tensor((), DType.INT32)
    target = b.tensor((2,), DType.INT32)
    y = b.tensor((shape[axis], rest // shape[axis]), dtype, scale=SCALE, zero_point=ZERO_POINT)
    b.op(OP, [x], [sizes], outType=int(DType.INT32))
    b.op("STRIDED_SLICE", [sizes, int_constant(b, [axis]), int_constant(b, [axis + 1]), int_constant(b, [1])], [one], shrinkAxisMask=1)
    b.op("PACK", [one, int_constant(b, rest // shape[axis])], [target], valuesCount=2, axis=0)
    b.op("RESHAPE", [x, target], [y])
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield flatten_case("shape_flatten", (1, 3, 4, 5), 0)
    yield flatten_case("shape_flatten_rank_2", (1, 7), 0)
    yield flatten_case("shape_flatten_rank_3", (1, 5, 2), 0)
    yield flatten_case("shape_s16", (1, 3, 4, 5), 0, DType.INT16)
