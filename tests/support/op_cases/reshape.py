"""RESHAPE cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "RESHAPE"


def reshape_case(name: str, before: tuple[int, ...], after: tuple[int, ...], *, shape_input: bool, dtype: DType = DType.INT8) -> OpCase:
    """One change of shape."""
    b = TfliteBuilder()
    x = b.tensor(before, dtype, scale=0.1, zero_point=1)
    inputs = [x, b.tensor((len(after),), DType.INT32, data=list(after))] if shape_input else [x]
    y = b.tensor(after, dtype, scale=0.1, zero_point=1)
    b.op("RESHAPE", inputs, [y], newShape=list(after))
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield reshape_case("reshape_flatten", (1, 3, 4, 5), (1, 60), shape_input=True)
    yield reshape_case("reshape_expand", (1, 60), (1, 3, 4, 5), shape_input=False)
    yield reshape_case("reshape_same", (1, 7), (1, 7), shape_input=True)
    yield reshape_case("reshape_s16", (1, 3, 4, 5), (1, 60), shape_input=True, dtype=DType.INT16)
