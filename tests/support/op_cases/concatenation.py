"""CONCATENATION cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import SCALE, ZERO_POINT, int_constant
from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "CONCATENATION"


def concatenation_case(
    name: str,
    shape: tuple[int, ...],
    axis: int,
    constants: list[int],
    *,
    input_at: tuple[int, ...] = (0,),
    dtype: DType = DType.INT8,
) -> OpCase:
    """The input (at each of ``input_at``) and constants as long along the axis as given."""
    rng = rng_for(name)
    b = TfliteBuilder()
    zero_point = 0 if dtype is DType.INT16 else ZERO_POINT
    x = b.tensor(shape, dtype, scale=SCALE, zero_point=zero_point)
    inputs, length = [], 0
    for size in constants:
        other = tuple(size if a == axis % len(shape) else d for a, d in enumerate(shape))
        inputs.append(b.tensor(other, dtype, scale=SCALE, zero_point=zero_point, data=rng.integers(-128, 128, other)))
        length += size
    for position in input_at:
        inputs.insert(position, x)
        length += shape[axis]
    after = tuple(length if a == axis % len(shape) else d for a, d in enumerate(shape))
    y = b.tensor(after, dtype, scale=SCALE, zero_point=zero_point)
    b.op(OP, inputs, [y], axis=axis)
    return OpCase(name, b.build([x], [y]))


def shuffled_parts_case() -> OpCase:
    """All outputs of a SPLIT live at the same time."""
    b = TfliteBuilder()
    x = b.tensor((1, 4, 3, 6), scale=SCALE, zero_point=ZERO_POINT)
    parts = [b.tensor((1, 4, 3, 2), scale=SCALE, zero_point=ZERO_POINT) for _ in range(3)]
    y = b.tensor((1, 4, 3, 8), scale=SCALE, zero_point=ZERO_POINT)
    b.op("SPLIT", [int_constant(b, 3), x], parts, numSplits=3)
    b.op(OP, [parts[2], parts[0], parts[1], parts[0]], [y], axis=3)
    return OpCase("concatenation_of_shuffled_parts", b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield concatenation_case("concatenation_channels", (1, 3, 4, 5), 3, [2])
    yield concatenation_case("concatenation_rows", (1, 3, 4, 5), 1, [2, 1], input_at=(1,))
    yield concatenation_case("concatenation_columns", (1, 3, 4, 5), 2, [1])
    yield concatenation_case("concatenation_negative_axis", (1, 3, 4), -1, [7], input_at=(1,))
    yield concatenation_case("concatenation_twice_itself", (1, 9), 1, [], input_at=(0, 0))
    yield concatenation_case("concatenation_one", (1, 3, 4), 1, [])
    yield concatenation_case("concatenation_ten", (1, 3, 2), 2, [1, 2, 3, 1, 2, 3, 1, 2, 3], input_at=(4,))
    yield shuffled_parts_case()
    yield concatenation_case("concatenation_s16", (1, 3, 4, 5), 3, [2], dtype=DType.INT16)
    yield concatenation_case("concatenation_s16_rows", (1, 3, 4, 5), 1, [2, 1], input_at=(1,), dtype=DType.INT16)
