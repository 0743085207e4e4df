"""SOFTMAX cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder

OP = "SOFTMAX"


def softmax_case(name: str, shape: tuple[int, ...], *, scale: float = 0.1, beta: float = 1.0) -> OpCase:
    """One softmax."""
    b = TfliteBuilder()
    x = b.tensor(shape, scale=scale, zero_point=10)
    y = b.tensor(shape, scale=1.0 / 256.0, zero_point=-128)
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
