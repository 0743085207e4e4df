"""SOFTMAX cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "SOFTMAX"


def softmax_case(name: str, shape: tuple[int, ...], *, scale: float = 0.1, beta: float = 1.0, dtype: DType = DType.INT8) -> OpCase:
    """One softmax."""
    b = TfliteBuilder()
    input_zero, output_scale, output_zero = (0, 1.0 / 32768.0, 0) if dtype is DType.INT16 else (10, 1.0 / 256.0, -128)
    x = b.tensor(shape, dtype, scale=scale, zero_point=input_zero)
    y = b.tensor(shape, dtype, scale=output_scale, zero_point=output_zero)
    b.op("SOFTMAX", [x], [y], beta=beta)
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield softmax_case("softmax_12", (1, 12))
    yield softmax_case("softmax_2", (1, 2))
    yield softmax_case("softmax_1", (1, 1))
    yield softmax_case("softmax_rows", (1, 4, 6))
    yield softmax_case("softmax_longest", (1, 511), scale=0.02)
    yield softmax_case("softmax_steep", (1, 10), scale=1.5)
    yield softmax_case("softmax_very_steep", (1, 10), scale=40.0)
    yield softmax_case("softmax_flat", (1, 10), scale=0.0005)
    yield softmax_case("softmax_beta", (1, 10), beta=0.3)
    for shape, scale in (
        ((1, 12), 0.0003),
        ((1, 2), 0.0002),
        ((1, 1), 0.1),
        ((1, 4, 6), 0.0001),
        ((1, 700), 0.00005),
        ((1, 1000), 0.000001),
        ((1, 10), 0.01),
        ((1, 10), 3.0),
    ):
        yield softmax_case(f"softmax_s16_{'x'.join(map(str, shape))}_{scale}", shape, scale=scale, dtype=DType.INT16)
    yield softmax_case("softmax_s16_beta", (1, 10), scale=0.001, beta=0.3, dtype=DType.INT16)
