"""Models of one op that moves bytes, for all of them."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

SCALE, ZERO_POINT = 0.1, -3


def move_case(
    name: str,
    op: str,
    before: tuple[int, ...],
    after: tuple[int, ...],
    constants: tuple[npt.ArrayLike, ...] = (),
    *,
    dtype: DType = DType.INT8,
    **options: Any,
) -> OpCase:
    """One input, int32 constants, one output."""
    b = TfliteBuilder()
    x = b.tensor(before, dtype, scale=SCALE, zero_point=ZERO_POINT)
    y = b.tensor(after, dtype, scale=SCALE, zero_point=ZERO_POINT)
    b.op(op, [x, *(int_constant(b, c) for c in constants)], [y], **options)
    return OpCase(name, b.build([x], [y]))


def int_constant(b: TfliteBuilder, values: npt.ArrayLike) -> int:
    """A constant of int32: a vector of what is given as a list, else a scalar."""
    shape = (len(values),) if isinstance(values, list) else ()
    return b.tensor(shape, DType.INT32, data=values)


def split_cases(
    name: str,
    op: str,
    before: tuple[int, ...],
    parts: list[tuple[int, ...]],
    constants: tuple[npt.ArrayLike, ...],
    *,
    data_at: int = 0,
    dtype: DType = DType.INT8,
    **options: Any,
) -> list[OpCase]:
    """One case for each output, where nobody reads the others."""
    cases = []
    for part in range(len(parts)):
        b = TfliteBuilder()
        x = b.tensor(before, dtype, scale=SCALE, zero_point=ZERO_POINT)
        inputs = [int_constant(b, c) for c in constants]
        inputs.insert(data_at, x)
        outputs = [b.tensor(shape, dtype, scale=SCALE, zero_point=ZERO_POINT) for shape in parts]
        b.op(op, inputs, outputs, **options)
        cases.append(OpCase(f"{name}_{part}", b.build([x], [outputs[part]])))
    return cases
