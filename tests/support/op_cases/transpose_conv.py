"""TRANSPOSE_CONV cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.move_case import int_constant
from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "TRANSPOSE_CONV"


def transpose_conv_case(
    name: str,
    *,
    size: tuple[int, int, int] = (4, 5, 3),
    filters: int = 4,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (2, 2),
    same: bool = True,
    extra: tuple[int, int] = (0, 0),
    bias: bool = True,
    per_channel: bool = True,
    scales: tuple[float, float, float] = (0.05, 0.01, 0.04),
    zero_points: tuple[int, int] = (3, -5),
    dtype: DType = DType.INT8,
) -> OpCase:
    """A transposed convolution with random weights; ``extra`` rows and columns behind the least output."""
    rng = rng_for(name)
    h, w, c = size
    least = [(d - 1) * s + (1 if same else k) for d, s, k in zip((h, w), stride, kernel, strict=True)]
    out = tuple(n + e for n, e in zip(least, extra, strict=True))
    weight_scales = (scales[1] * rng.uniform(0.2, 2.0, filters)).tolist() if per_channel else scales[1]
    b = TfliteBuilder()
    x = b.tensor((1, h, w, c), dtype, scale=scales[0], zero_point=zero_points[0])
    k = b.tensor((filters, *kernel, c), scale=weight_scales, data=rng.integers(-127, 128, (filters, *kernel, c)))
    inputs = [int_constant(b, [1, *out, filters]), k, x]
    if bias:
        bias_scale = [scales[0] * s for s in weight_scales] if isinstance(weight_scales, list) else scales[0] * weight_scales
        bias_dtype = DType.INT64 if dtype is DType.INT16 else DType.INT32
        inputs.append(b.tensor((filters,), bias_dtype, scale=bias_scale, data=rng.integers(-4000, 4000, filters)))
    y = b.tensor((1, *out, filters), dtype, scale=scales[2], zero_point=zero_points[1])
    b.op(OP, inputs, [y], padding=0 if same else 1, strideH=stride[0], strideW=stride[1])
    return OpCase(name, b.build([x], [y]))


def int16_case(name: str, *, scales: tuple[float, float, float] = (0.0005, 0.01, 0.0004), **options: Any) -> OpCase:
    """The same with int16 activations."""
    return transpose_conv_case(name, dtype=DType.INT16, zero_points=(0, 0), scales=scales, **options)


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield transpose_conv_case("transpose_conv_same", extra=(1, 1))
    yield transpose_conv_case("transpose_conv_same_odd")
    yield transpose_conv_case("transpose_conv_valid", same=False)
    yield transpose_conv_case("transpose_conv_valid_longer", same=False, extra=(1, 0))
    yield transpose_conv_case("transpose_conv_stride_1", stride=(1, 1))
    yield transpose_conv_case("transpose_conv_stride_beyond_kernel", stride=(3, 4), kernel=(2, 2), extra=(2, 3))
    yield transpose_conv_case("transpose_conv_unequal", stride=(2, 1), kernel=(4, 2), extra=(1, 0))
    yield transpose_conv_case("transpose_conv_5x5_valid", kernel=(5, 5), same=False, size=(3, 2, 2))
    yield transpose_conv_case("transpose_conv_1x1", kernel=(1, 1), stride=(1, 1))
    yield transpose_conv_case("transpose_conv_one_pixel", size=(1, 1, 4), same=False)
    yield transpose_conv_case("transpose_conv_no_bias", bias=False, extra=(1, 1))
    yield transpose_conv_case("transpose_conv_per_tensor", per_channel=False, extra=(1, 1))
    yield transpose_conv_case("transpose_conv_saturating", scales=(0.5, 0.1, 0.02))
    yield transpose_conv_case("transpose_conv_ties", per_channel=False, scales=(0.5, 0.25, 2.0), bias=False)
    yield transpose_conv_case("transpose_conv_extreme_zero_points", zero_points=(-128, 127), same=False)
    yield int16_case("transpose_conv_s16", extra=(1, 1))
    yield int16_case("transpose_conv_s16_valid", same=False, extra=(1, 0))
    yield int16_case("transpose_conv_s16_unequal", stride=(2, 1), kernel=(4, 2), extra=(1, 0))
    yield int16_case("transpose_conv_s16_no_bias", bias=False, extra=(1, 1))
    yield int16_case("transpose_conv_s16_per_tensor", per_channel=False, same=False)
    yield int16_case("transpose_conv_s16_saturating", scales=(0.5, 0.1, 0.02))
    yield int16_case("transpose_conv_s16_ties", per_channel=False, scales=(0.5, 0.25, 2.0))
