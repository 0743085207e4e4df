"""FULLY_CONNECTED cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "FULLY_CONNECTED"


def dense_case(
    name: str,
    *,
    shape: tuple[int, ...] = (1, 17),
    depth: int = 17,
    units: int = 6,
    activation: int = 0,
    bias: bool = True,
    per_channel: bool = False,
    scales: tuple[float, float, float] = (0.05, 0.02, 0.1),
    zero_points: tuple[int, int] = (4, -9),
    lowest: int = -127,
    dtype: DType = DType.INT8,
    bias_dtype: DType = DType.INT32,
) -> OpCase:
    """A dense layer with random weights from ``lowest`` to 127."""
    rng = rng_for(name)
    b = TfliteBuilder()
    x = b.tensor(shape, dtype, scale=scales[0], zero_point=zero_points[0])
    weight_scales = (scales[1] * rng.uniform(0.2, 2.0, units)).tolist() if per_channel else scales[1]
    weights = rng.integers(lowest, 128, (units, depth))
    weights[-1, 0] = lowest
    k = b.tensor((units, depth), scale=weight_scales, data=weights)
    inputs = [x, k, -1]
    if bias:
        bias_scale = [scales[0] * s for s in weight_scales] if isinstance(weight_scales, list) else scales[0] * weight_scales
        inputs[2] = b.tensor((units,), bias_dtype, scale=bias_scale, data=rng.integers(-3000, 3000, units))
    keeps_dims = shape[-1] == depth
    y = b.tensor((*shape[:-1], units) if keeps_dims else (1, units), dtype, scale=scales[2], zero_point=zero_points[1])
    b.op("FULLY_CONNECTED", inputs, [y], fusedActivationFunction=activation, keepNumDims=keeps_dims)
    return OpCase(name, b.build([x], [y]))


def int16_case(
    name: str, *, bias_dtype: DType = DType.INT64, scales: tuple[float, float, float] = (0.0005, 0.02, 0.004), **options: Any
) -> OpCase:
    """The same with int16 activations."""
    return dense_case(name, dtype=DType.INT16, bias_dtype=bias_dtype, zero_points=(0, 0), scales=scales, **options)


def int16_cases() -> Iterator[OpCase]:
    """Int64 sums, and int32 ones, which wrap around when they are large."""
    for label, options in (
        ("wide", {"bias_dtype": DType.INT64}),
        ("narrow", {"bias_dtype": DType.INT32}),
        ("no_bias", {"bias": False}),
    ):
        for per_channel in (False, True):
            name = f"dense_s16_{label}{'_per_channel' if per_channel else ''}"
            yield int16_case(name, per_channel=per_channel, **options)
            yield int16_case(f"{name}_rows", per_channel=per_channel, shape=(1, 3, 9), depth=9, units=7, activation=1, **options)
            yield int16_case(
                f"{name}_long", per_channel=per_channel, shape=(1, 900), depth=900, units=9, scales=(0.005, 0.02, 0.4), **options
            )
        yield int16_case(f"dense_s16_{label}_saturating", scales=(0.5, 0.3, 0.02), lowest=-128, **options)
        yield int16_case(f"dense_s16_{label}_ties", scales=(0.5, 0.5, 4.0), **options)


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield dense_case("dense_per_tensor")
    yield dense_case("dense_per_channel", per_channel=True)
    yield dense_case("dense_no_bias", bias=False)
    yield dense_case("dense_rows", shape=(1, 5, 8), depth=8)
    yield dense_case("dense_flattens", shape=(1, 3, 4, 2), depth=24)
    yield dense_case("dense_one_by_one", shape=(1, 1), depth=1, units=1)
    yield dense_case("dense_relu", activation=1)
    yield dense_case("dense_relu6", activation=3)
    yield dense_case("dense_saturating", scales=(0.5, 0.3, 0.02))
    yield dense_case("dense_ties", scales=(0.5, 0.5, 4.0), bias=False, zero_points=(0, 0))
    yield dense_case("dense_ties_per_channel_offset", scales=(0.25, 0.5, 8.0), bias=False, zero_points=(-1, 1))
    yield dense_case("dense_long", shape=(1, 640), depth=640, units=16)
    yield dense_case("dense_lowest_weights", depth=37, shape=(1, 37), units=9, lowest=-128)
    yield dense_case("dense_lowest_weights_rows", depth=16, shape=(1, 3, 16), units=4, lowest=-128)
    yield dense_case("dense_large_sums", depth=700, shape=(1, 700), units=5, scales=(0.5, 0.3, 40.0))
    yield dense_case("dense_rows_of_seven_units", depth=19, shape=(1, 4, 19), units=7, per_channel=True)
    yield dense_case("dense_extreme_zero_points", zero_points=(-128, -128))
    yield from int16_cases()
