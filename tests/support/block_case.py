"""Models of SPACE_TO_BATCH_ND or BATCH_TO_SPACE_ND between reshapes, as a model has one image outside."""

from __future__ import annotations

from math import prod

from tests.support.move_case import SCALE, ZERO_POINT, int_constant
from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType


def block_case(
    name: str,
    op: str,
    before: tuple[int, ...],
    after: tuple[int, ...],
    block: list[int],
    borders: list[list[int]],
) -> OpCase:
    """One op."""
    b = TfliteBuilder()
    x, y = (b.tensor((1, prod(shape)), scale=SCALE, zero_point=ZERO_POINT) for shape in (before, after))
    source, target = (b.tensor(shape, scale=SCALE, zero_point=ZERO_POINT) for shape in (before, after))
    b.op("RESHAPE", [x], [source])
    b.op(op, [source, int_constant(b, block), b.tensor((len(block), 2), DType.INT32, data=borders)], [target])
    b.op("RESHAPE", [target], [y])
    return OpCase(name, b.build([x], [y]))
