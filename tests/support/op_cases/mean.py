"""MEAN cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "MEAN"


def mean_case(
    name: str,
    shape: tuple[int, ...],
    axes: list[int],
    *,
    keep: bool = False,
    scales: tuple[float, float] = (0.04, 0.02),
    zero_points: tuple[int, int] = (5, -3),
) -> OpCase:
    """One mean."""
    b = TfliteBuilder()
    reduced = {a % len(shape) for a in axes}
    out = tuple(1 if i in reduced else d for i, d in enumerate(shape) if keep or i not in reduced)
    x = b.tensor(shape, scale=scales[0], zero_point=zero_points[0])
    a = b.tensor((len(axes),), DType.INT32, data=axes)
    y = b.tensor(out, scale=scales[1], zero_point=zero_points[1])
    b.op("MEAN", [x, a], [y], keepDims=keep)
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield mean_case("mean_hw", (1, 6, 5, 7), [1, 2])
    yield mean_case("mean_hw_keep", (1, 6, 5, 7), [1, 2], keep=True)
    yield mean_case("mean_hw_same_scale", (1, 8, 8, 3), [1, 2], scales=(0.04, 0.04), zero_points=(-128, -128))
    yield mean_case("mean_hw_same_scale_offset", (1, 5, 5, 3), [1, 2], scales=(0.04, 0.04), zero_points=(9, 9))
    yield mean_case("mean_h", (1, 6, 5, 7), [1])
    yield mean_case("mean_w", (1, 6, 5, 7), [2], keep=True)
    yield mean_case("mean_channels", (1, 6, 5, 7), [3])
    yield mean_case("mean_negative_axis", (1, 6, 7), [-1])
    yield mean_case("mean_rank_2", (1, 33), [1])
    yield mean_case("mean_h_and_channels", (1, 4, 3, 5), [1, 3])
    yield mean_case("mean_ties", (1, 2, 2, 4), [1, 2], scales=(0.5, 0.5), zero_points=(0, 0))
    yield mean_case("mean_scale_up", (1, 3, 3, 4), [1, 2], scales=(0.9, 0.1))
    yield mean_case("mean_scale_down", (1, 9, 9, 4), [1, 2], scales=(0.01, 0.9))
    yield mean_case("mean_large", (1, 40, 40, 2), [1, 2])
