"""Models of one pool, for both kinds."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType


def pool_case(
    name: str,
    op: str,
    *,
    size: tuple[int, int, int] = (7, 6, 5),
    kernel: tuple[int, int] = (2, 2),
    stride: tuple[int, int] = (2, 2),
    same: bool = False,
    activation: int = 0,
    zero_point: int = -6,
    dtype: DType = DType.INT8,
) -> OpCase:
    """One pool."""
    out = tuple(-(-s // st) if same else (s - k) // st + 1 for s, k, st in zip(size[:2], kernel, stride, strict=True))
    b = TfliteBuilder()
    x = b.tensor((1, *size), dtype, scale=0.03, zero_point=zero_point)
    y = b.tensor((1, *out, size[2]), dtype, scale=0.03, zero_point=zero_point)
    b.op(
        op,
        [x],
        [y],
        padding=0 if same else 1,
        filterHeight=kernel[0],
        filterWidth=kernel[1],
        strideH=stride[0],
        strideW=stride[1],
        fusedActivationFunction=activation,
    )
    return OpCase(name, b.build([x], [y]))


def pool_cases(op: str, prefix: str) -> Iterator[OpCase]:
    """The grid that both kinds share."""
    yield pool_case(f"{prefix}_2x2", op)
    yield pool_case(f"{prefix}_3x3_same_s1", op, kernel=(3, 3), stride=(1, 1), same=True)
    yield pool_case(f"{prefix}_3x2_same_s2", op, kernel=(3, 2), same=True)
    yield pool_case(f"{prefix}_larger_than_image_same", op, kernel=(9, 9), stride=(3, 3), same=True)
    yield pool_case(f"{prefix}_global", op, kernel=(7, 6), stride=(1, 1))
    yield pool_case(f"{prefix}_one_pixel", op, size=(1, 1, 3), kernel=(1, 1), stride=(1, 1))
    yield pool_case(f"{prefix}_row", op, size=(1, 25, 4), kernel=(1, 5), stride=(1, 5))
    yield pool_case(f"{prefix}_relu", op, activation=1)
    yield pool_case(f"{prefix}_relu6", op, activation=3, zero_point=20)
    yield pool_case(f"{prefix}_extreme_zero_point", op, zero_point=127, same=True, kernel=(3, 3))
    for suffix, size, kernel, stride, same, activation in (
        ("", (7, 6, 5), (2, 2), (2, 2), False, 0),
        ("_same", (7, 6, 3), (3, 2), (1, 1), True, 0),
        ("_strided_same", (7, 5, 3), (3, 3), (2, 3), True, 2),
        ("_global", (7, 6, 5), (7, 6), (1, 1), False, 1),
        ("_larger_than_image", (4, 3, 2), (9, 9), (3, 3), True, 0),
    ):
        name = f"{prefix}_s16{suffix}"
        yield pool_case(
            name, op, size=size, kernel=kernel, stride=stride, same=same, activation=activation, zero_point=0, dtype=DType.INT16
        )
