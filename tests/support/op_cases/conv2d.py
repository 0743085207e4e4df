"""CONV_2D cases: paddings, strides, dilations, groups, ties, saturation, activations, with and without bias."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "CONV_2D"


def conv_case(
    name: str,
    *,
    size: tuple[int, int, int] = (7, 6, 5),
    filters: int = 4,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    same: bool = True,
    groups: int = 1,
    activation: int = 0,
    bias: bool = True,
    per_channel: bool = True,
    scales: tuple[float, float, float] = (0.05, 0.01, 0.04),
    zero_points: tuple[int, int] = (3, -5),
    extreme: bool = False,
    dead: tuple[int, ...] = (),
    dtype: DType = DType.INT8,
    bias_dtype: DType = DType.INT32,
) -> OpCase:
    """A convolution with random (or only extreme) weights; the filters in ``dead`` are all zero."""
    rng = rng_for(name)
    h, w, c = size
    extent = ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1)
    out = tuple(-(-s // st) if same else (s - e) // st + 1 for s, e, st in zip((h, w), extent, stride, strict=True))
    shape = (filters, *kernel, c // groups)
    weights = rng.choice([-127, 127], shape) if extreme else rng.integers(-127, 128, shape)
    weights[list(dead)] = 0
    weight_scales = (scales[1] * rng.uniform(0.2, 2.0, filters)).tolist() if per_channel else scales[1]
    b = TfliteBuilder()
    x = b.tensor((1, h, w, c), dtype, scale=scales[0], zero_point=zero_points[0])
    k = b.tensor(shape, scale=weight_scales, data=weights)
    inputs = [x, k]
    if bias:
        bias_scale = [scales[0] * s for s in weight_scales] if isinstance(weight_scales, list) else scales[0] * weight_scales
        inputs.append(b.tensor((filters,), bias_dtype, scale=bias_scale, data=rng.integers(-4000, 4000, filters)))
    y = b.tensor((1, *out, filters), dtype, scale=scales[2], zero_point=zero_points[1])
    b.op(
        "CONV_2D",
        inputs,
        [y],
        padding=0 if same else 1,
        strideH=stride[0],
        strideW=stride[1],
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
        fusedActivationFunction=activation,
    )
    return OpCase(name, b.build([x], [y]))


def int16_case(
    name: str, *, bias_dtype: DType = DType.INT64, scales: tuple[float, float, float] = (0.0005, 0.01, 0.004), **options: Any
) -> OpCase:
    """The same with int16 activations."""
    return conv_case(name, dtype=DType.INT16, bias_dtype=bias_dtype, zero_points=(0, 0), scales=scales, **options)


def int16_cases() -> Iterator[OpCase]:
    """Int64 sums, and int32 ones, which wrap around when they are large."""
    for label, options in (
        ("wide", {"bias_dtype": DType.INT64}),
        ("narrow", {"bias_dtype": DType.INT32}),
        ("no_bias", {"bias": False}),
    ):
        yield int16_case(f"conv_s16_{label}", **options)
        yield int16_case(f"conv_s16_{label}_valid_s21", same=False, stride=(2, 1), **options)
        yield int16_case(f"conv_s16_{label}_grouped_dilated", groups=3, dilation=(2, 2), size=(9, 8, 6), filters=6, **options)
        yield int16_case(f"conv_s16_{label}_1x1_odd", kernel=(1, 1), size=(5, 5, 9), filters=7, activation=1, **options)
        yield int16_case(f"conv_s16_{label}_ties", per_channel=False, scales=(0.5, 0.25, 2.0), size=(6, 6, 2), **options)
        yield int16_case(f"conv_s16_{label}_saturating", extreme=True, scales=(0.5, 0.1, 0.02), **options)
        yield int16_case(f"conv_s16_{label}_deep", extreme=True, size=(1, 2, 700), kernel=(1, 1), scales=(0.005, 0.01, 0.4), **options)
        yield int16_case(f"conv_s16_{label}_tiny_scale", scales=(1e-4, 1e-4, 1.0), **options)
    yield int16_case("conv_s16_column", size=(31, 1, 3), kernel=(5, 1), stride=(2, 1))
    yield int16_case("conv_s16_larger_than_image", kernel=(9, 8), size=(4, 3, 2))
    yield int16_case("conv_s16_relu6", activation=3)
    yield int16_case("conv_s16_scale_above_one", scales=(1.0, 1.0, 0.3), size=(4, 4, 1), kernel=(1, 1))
    yield int16_case("conv_s16_multiplier_rounds_up", per_channel=False, scales=(0.5, 0.249999, 2.0), size=(6, 6, 2))


def cases() -> Iterator[OpCase]:
    """All cases."""
    for same in (True, False):
        for stride in ((1, 1), (2, 2), (2, 1), (1, 3)):
            yield conv_case(f"conv_3x3_{'same' if same else 'valid'}_s{stride[0]}{stride[1]}", same=same, stride=stride)
    yield conv_case("conv_1x1", kernel=(1, 1), size=(5, 5, 9), filters=7)
    yield conv_case("conv_1x1_whole_words_odd", kernel=(1, 1), size=(5, 5, 12), filters=6)
    yield conv_case("conv_1x1_whole_words_stride2", kernel=(1, 1), size=(7, 5, 8), stride=(2, 2), filters=6)
    for size in ((5, 5, 12), (6, 7, 3), (8, 4, 1)):
        yield conv_case(f"conv_clamped_{size[2]}_channels", size=size, filters=6, zero_points=(5, -128), activation=1)
    yield conv_case("conv_clamped_no_activation", size=(5, 5, 8), filters=4, zero_points=(-3, -128))
    yield conv_case("conv_1x1_stride2_odd", kernel=(1, 1), size=(7, 5, 3), stride=(2, 2), filters=5)
    yield conv_case("conv_kernel_as_large_as_image", kernel=(7, 6), same=False)
    yield conv_case("conv_kernel_larger_than_image_same", kernel=(9, 8), size=(4, 3, 2))
    yield conv_case("conv_10x4_stride2_same", kernel=(10, 4), size=(49, 10, 1), stride=(2, 2), filters=8)
    yield conv_case("conv_even_kernel_same", kernel=(2, 4), size=(5, 7, 3))
    yield conv_case("conv_dilated", dilation=(2, 3), size=(11, 13, 3))
    yield conv_case("conv_dilated_valid", dilation=(2, 2), size=(9, 9, 2), same=False)
    yield conv_case("conv_grouped_2", groups=2, size=(5, 5, 6), filters=8)
    yield conv_case("conv_grouped_as_depthwise", groups=4, size=(5, 5, 4), filters=4)
    yield conv_case("conv_grouped_dilated", groups=3, dilation=(2, 2), size=(9, 8, 6), filters=6)
    yield conv_case("conv_grouped_strided_valid", groups=2, stride=(2, 1), size=(7, 6, 4), same=False)
    yield conv_case("conv_row_vector", size=(1, 31, 3), kernel=(1, 5))
    yield conv_case("conv_column_vector", size=(31, 1, 3), kernel=(5, 1), stride=(2, 1))
    yield conv_case("conv_one_pixel", size=(1, 1, 1), kernel=(1, 1), filters=1)
    for activation, label in ((1, "relu"), (2, "relu_n1_to_1"), (3, "relu6")):
        yield conv_case(f"conv_{label}", activation=activation)
    yield conv_case("conv_no_bias", bias=False)
    yield conv_case("conv_per_tensor", per_channel=False)
    yield conv_case("conv_saturating", extreme=True, scales=(0.5, 0.1, 0.02))
    # Effective scale 2**-n: sums often lie exactly between two outputs.
    yield conv_case("conv_ties", per_channel=False, scales=(0.5, 0.25, 2.0), size=(6, 6, 2), bias=False)
    yield conv_case(
        "conv_ties_negative_offset", per_channel=False, scales=(0.25, 0.25, 8.0), size=(6, 6, 2), zero_points=(0, 0), bias=False
    )
    yield conv_case("conv_scale_above_one", scales=(1.0, 1.0, 0.3), size=(4, 4, 1), kernel=(1, 1))
    yield conv_case("conv_tiny_scale", scales=(1e-4, 1e-4, 1.0))
    yield conv_case("conv_dead_filters", filters=7, dead=(0, 3, 6), zero_points=(3, -128), activation=1)
    yield conv_case("conv_dead_filters_offset", filters=5, dead=(1, 4), zero_points=(-7, 90))
    yield conv_case("conv_all_dead", filters=2, dead=(0, 1))
    yield conv_case("conv_scale_rounds_to_zero", scales=(1e-7, 1e-7, 8.0), bias=False)
    yield conv_case("conv_extreme_zero_points", zero_points=(-128, 127))
    yield from int16_cases()
