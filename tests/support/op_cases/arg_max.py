"""ARG_MAX cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "ARG_MAX"


def arg_max_case(name: str, shape: tuple[int, ...], axis: int, *, relu6: bool = False) -> OpCase:
    """One arg max; of values of which many are equal when they are clamped first."""
    b = TfliteBuilder()
    x = b.tensor(shape, scale=0.5, zero_point=3)
    clamped = b.tensor(shape, scale=0.5, zero_point=3)
    at = axis % len(shape)
    y = b.tensor((*shape[:at], *shape[at + 1 :]), DType.INT32)
    if relu6:
        b.op("RELU6", [x], [clamped])
    b.op(OP, [clamped if relu6 else x, b.tensor((), DType.INT32, data=axis)], [y], outputType=int(DType.INT32))
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield arg_max_case("arg_max_classes", (1, 10), 1)
    yield arg_max_case("arg_max_channels", (1, 4, 3, 7), -1)
    yield arg_max_case("arg_max_rows", (1, 9, 5), 1)
    yield arg_max_case("arg_max_first_of_equals", (1, 30, 4), 1, relu6=True)
    yield arg_max_case("arg_max_one", (1, 1), 1)
