"""UNIDIRECTIONAL_SEQUENCE_LSTM cases: sequences of sequences, as the states go on."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "UNIDIRECTIONAL_SEQUENCE_LSTM"


def lstm_case(
    name: str,
    *,
    steps: int = 4,
    size: int = 5,
    units: int = 6,
    scales: tuple[float, float, float] = (0.05, 0.009, 0.0079),
    weight_scales: tuple[float, ...] = (0.011, 0.009, 0.012, 0.01, 0.013, 0.012, 0.0098, 0.0113),
    zero_points: tuple[int, int] = (-7, 4),
    cell_power: int = -12,
    cell_clip: float = 0.0,
    time_major: bool = False,
    bias: int = 20000,
    layers: int = 1,
) -> OpCase:
    """One or more layers with random weights.

    Args:
        scales: Of the input, of the outputs, of a further layer's input.
        weight_scales: Input weights of the four gates, then recurrent ones.
    """
    rng = rng_for(name)
    b = TfliteBuilder()
    shape = (1, steps, size)
    first = y = b.tensor(shape, scale=scales[0], zero_point=zero_points[0])
    if time_major:
        # The model's input has batch 1 in front.
        y = b.tensor((steps, 1, size), scale=scales[0], zero_point=zero_points[0])
        b.op("RESHAPE", [first, b.tensor((3,), DType.INT32, data=[steps, 1, size])], [y])
    for layer in range(layers):
        x = y
        if layer:
            x = b.tensor((1, steps, size), scale=scales[2], zero_point=zero_points[0])
            b.op("QUANTIZE", [y], [x])
        inputs = [x]
        for i, scale in enumerate(weight_scales):
            wanted = (units, size if i < 4 else units)
            inputs.append(b.tensor(wanted, scale=scale, data=rng.integers(-127, 128, wanted)))
        inputs += [-1] * 3
        for gate in range(4):
            inputs.append(b.tensor((units,), DType.INT32, scale=scales[0] * weight_scales[gate], data=rng.integers(-bias, bias + 1, units)))
        inputs += [-1] * 2
        inputs.append(b.tensor((1, units), scale=scales[1], zero_point=zero_points[1], is_variable=True))
        inputs.append(b.tensor((1, units), DType.INT16, scale=2.0**cell_power, is_variable=True))
        inputs += [-1] * 4
        out = (steps, 1, units) if time_major else (1, steps, units)
        y = b.tensor(out, scale=scales[1], zero_point=zero_points[1])
        b.op(OP, inputs, [y], fusedActivationFunction=4, cellClip=cell_clip, timeMajor=time_major)
        size = units
    if time_major:
        last = b.tensor((1, steps, units), scale=scales[1], zero_point=zero_points[1])
        b.op("RESHAPE", [y, b.tensor((3,), DType.INT32, data=[1, steps, units])], [last])
        y = last
    return OpCase(name, b.build([first], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield lstm_case("lstm")
    yield lstm_case("lstm_time_major", time_major=True)
    yield lstm_case("lstm_one_step", steps=1, size=9)
    yield lstm_case("lstm_one_unit", units=1, size=1, steps=7)
    yield lstm_case("lstm_more_units_than_inputs", units=11, size=2)
    yield lstm_case("lstm_clip", cell_clip=0.75)
    yield lstm_case("lstm_clip_beyond_int16", cell_clip=1000.0)
    yield lstm_case("lstm_fine_cells", cell_power=-15)
    yield lstm_case("lstm_coarse_cells", cell_power=-9, steps=12)
    yield lstm_case("lstm_saturated_gates", scales=(0.5, 0.03, 0.01), bias=4000000)
    yield lstm_case("lstm_saturated_cells", scales=(0.5, 0.009, 0.01), cell_power=-15, steps=9)
    yield lstm_case("lstm_saturated_output", scales=(0.05, 0.0005, 0.01))
    yield lstm_case("lstm_ties", scales=(0.5, 0.0078125, 0.01), weight_scales=(2.0**-11,) * 8, zero_points=(0, 0))
    yield lstm_case("lstm_extreme_zero_points", zero_points=(127, -128))
    yield lstm_case("lstm_two_layers", layers=2)
