"""DEPTHWISE_CONV_2D cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "DEPTHWISE_CONV_2D"


def depthwise_case(
    name: str,
    *,
    size: tuple[int, int, int] = (7, 6, 5),
    multiplier: int = 1,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    same: bool = True,
    activation: int = 0,
    bias: bool = True,
    per_channel: bool = True,
    scales: tuple[float, float, float] = (0.05, 0.02, 0.03),
    zero_points: tuple[int, int] = (-7, 11),
    dead: tuple[int, ...] = (),
    dtype: DType = DType.INT8,
) -> OpCase:
    """A depthwise convolution with random weights; the channels in ``dead`` have none."""
    rng = rng_for(name)
    h, w, c = size
    channels = c * multiplier
    extent = ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1)
    out = tuple(-(-s // st) if same else (s - e) // st + 1 for s, e, st in zip((h, w), extent, stride, strict=True))
    b = TfliteBuilder()
    x = b.tensor((1, h, w, c), dtype, scale=scales[0], zero_point=zero_points[0])
    weight_scales = (scales[1] * rng.uniform(0.2, 2.0, channels)).tolist() if per_channel else scales[1]
    weights = rng.integers(-127, 128, (1, *kernel, channels))
    weights[..., list(dead)] = 0
    k = b.tensor((1, *kernel, channels), scale=weight_scales, axis=3, data=weights)
    inputs = [x, k]
    if bias:
        # Old converters wrote the weights' axis for the bias as well; it must not matter.
        bias_scale = [scales[0] * s for s in weight_scales] if isinstance(weight_scales, list) else scales[0] * weight_scales
        bias_dtype = DType.INT64 if dtype is DType.INT16 else DType.INT32
        inputs.append(b.tensor((channels,), bias_dtype, scale=bias_scale, axis=3, data=rng.integers(-900, 900, channels)))
    y = b.tensor((1, *out, channels), dtype, scale=scales[2], zero_point=zero_points[1])
    b.op(
        "DEPTHWISE_CONV_2D",
        inputs,
        [y],
        padding=0 if same else 1,
        strideH=stride[0],
        strideW=stride[1],
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
        depthMultiplier=multiplier,
        fusedActivationFunction=activation,
    )
    return OpCase(name, b.build([x], [y]))


def int16_case(name: str, *, scales: tuple[float, float, float] = (0.0005, 0.02, 0.001), **options: Any) -> OpCase:
    """The same with int16 activations."""
    return depthwise_case(name, dtype=DType.INT16, zero_points=(0, 0), scales=scales, **options)


def int16_cases() -> Iterator[OpCase]:
    """What differs from int8 is the arithmetic, so a few shapes are enough."""
    yield int16_case("depthwise_s16")
    yield int16_case("depthwise_s16_8_channels_s2", size=(7, 6, 8), stride=(2, 2))
    yield int16_case("depthwise_s16_valid", size=(9, 6, 4), stride=(1, 2), same=False)
    yield int16_case("depthwise_s16_multiplier_3", multiplier=3, size=(5, 5, 2))
    yield int16_case("depthwise_s16_dilated", dilation=(2, 3), multiplier=2, size=(9, 11, 2))
    yield int16_case("depthwise_s16_column", kernel=(10, 1), size=(24, 1, 8), same=False)
    yield int16_case("depthwise_s16_relu6", activation=3)
    yield int16_case("depthwise_s16_no_bias", bias=False)
    yield int16_case("depthwise_s16_per_tensor", per_channel=False)
    yield int16_case("depthwise_s16_saturating", scales=(0.5, 0.2, 0.01))
    yield int16_case("depthwise_s16_ties", per_channel=False, scales=(0.5, 0.5, 2.0))


def cases() -> Iterator[OpCase]:
    """All cases."""
    for same in (True, False):
        for stride in ((1, 1), (2, 2)):
            yield depthwise_case(f"depthwise_3x3_{'same' if same else 'valid'}_s{stride[0]}", same=same, stride=stride)
    for stride in ((1, 1), (2, 2)):
        yield depthwise_case(f"depthwise_8_channels_s{stride[0]}", size=(7, 6, 8), stride=stride)
    for h, w in ((2, 2), (3, 3), (5, 6), (6, 5), (9, 9), (25, 5)):
        for stride in (1, 2):
            yield depthwise_case(f"depthwise_planes_{h}x{w}_s{stride}", size=(h, w, 8), stride=(stride, stride))
    for h, w in ((6, 6), (7, 7), (25, 5)):
        for stride in (1, 2):
            name = f"depthwise_planes_clamped_{h}x{w}_s{stride}"
            yield depthwise_case(name, size=(h, w, 4), stride=(stride, stride), zero_points=(9, -128), activation=3)
    yield depthwise_case("depthwise_planes_valid_even_s2", size=(8, 10, 4), stride=(2, 2), same=False)
    yield depthwise_case("depthwise_planes_valid_s1", size=(7, 10, 4), same=False)
    yield depthwise_case("depthwise_planes_unequal_strides", size=(8, 8, 4), stride=(2, 1))
    yield depthwise_case("depthwise_planes_stride_3", size=(10, 10, 4), stride=(3, 3))
    yield depthwise_case("depthwise_12_channels_5x5", size=(6, 7, 12), kernel=(5, 5))
    yield depthwise_case("depthwise_many_taps", size=(12, 12, 4), kernel=(6, 5))
    yield depthwise_case("depthwise_dead_channels", size=(5, 5, 8), dead=(0, 5, 7), activation=1, zero_points=(2, -128))
    yield depthwise_case("depthwise_8_channels_ties", size=(6, 6, 8), per_channel=False, scales=(0.5, 0.5, 2.0), bias=False)
    yield depthwise_case("depthwise_8_channels_relu6", size=(6, 6, 8), activation=3)
    yield depthwise_case("depthwise_8_channels_saturating", size=(6, 6, 8), scales=(0.5, 0.2, 0.01))
    yield depthwise_case("depthwise_multiplier_3", multiplier=3, size=(5, 5, 2))
    yield depthwise_case("depthwise_one_channel_multiplier_8", multiplier=8, size=(9, 4, 1), kernel=(4, 2), stride=(2, 2))
    yield depthwise_case("depthwise_dilated", dilation=(2, 2), size=(9, 9, 3))
    yield depthwise_case("depthwise_dilated_multiplier_2", dilation=(2, 3), multiplier=2, size=(9, 11, 2))
    yield depthwise_case("depthwise_dilated_valid", dilation=(3, 1), size=(9, 6, 4), same=False)
    yield depthwise_case("depthwise_kx1", kernel=(5, 1), size=(15, 1, 8), same=False)
    for taps, length, same in ((1, 5, True), (2, 2, True), (3, 30, False), (4, 9, True), (5, 28, False), (10, 24, False), (7, 3, True)):
        yield depthwise_case(f"depthwise_column_{taps}_over_{length}", kernel=(taps, 1), size=(length, 1, 8), same=same)
    yield depthwise_case("depthwise_row_6_over_11", kernel=(1, 6), size=(1, 11, 4), zero_points=(3, -128), activation=3)
    yield depthwise_case("depthwise_column_ties", kernel=(3, 1), size=(9, 1, 4), per_channel=False, scales=(0.5, 0.5, 2.0), bias=False)
    yield depthwise_case("depthwise_even_kernel", kernel=(4, 2), size=(5, 7, 3))
    yield depthwise_case("depthwise_larger_than_image", kernel=(5, 5), size=(2, 3, 4))
    yield depthwise_case("depthwise_relu6", activation=3)
    yield depthwise_case("depthwise_no_bias", bias=False)
    yield depthwise_case("depthwise_per_tensor", per_channel=False)
    yield depthwise_case("depthwise_saturating", scales=(0.5, 0.2, 0.01))
    yield depthwise_case("depthwise_ties", per_channel=False, scales=(0.5, 0.5, 2.0), bias=False)
    yield depthwise_case("depthwise_extreme_zero_points", zero_points=(127, -128), activation=1)
    yield from int16_cases()
