"""SVDF cases: sequences, as the state is what matters."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "SVDF"


def svdf_case(
    name: str,
    *,
    size: int = 9,
    units: int = 5,
    rank: int = 1,
    memory: int = 4,
    scales: tuple[float, float, float, float, float] = (0.05, 0.01, 0.0005, 0.0001, 0.03),
    zero_points: tuple[int, int] = (-7, 11),
    activation: int = 0,
    layers: int = 1,
    state_bits: int = 16,
    bias: int = 200000,
) -> OpCase:
    """One or more layers with random weights. Scales: input, weights, state, time weights, output."""
    rng = rng_for(name)
    b = TfliteBuilder()
    first = y = b.tensor((1, size), scale=scales[0], zero_point=zero_points[0])
    for layer in range(layers):
        x = y
        if layer:
            x = b.tensor((1, size), scale=scales[0], zero_point=zero_points[0])
            b.op("QUANTIZE", [y], [x])
        filters = units * rank
        weights = b.tensor((filters, size), scale=scales[1], data=rng.integers(-127, 128, (filters, size)))
        dtype, largest = (DType.INT16, 9000) if state_bits == 16 else (DType.INT8, 128)
        time = b.tensor((filters, memory), dtype, scale=scales[3], data=rng.integers(-largest, largest, (filters, memory)))
        biases = b.tensor((units,), DType.INT32, scale=scales[2] * scales[3], data=rng.integers(-bias, bias, units))
        state = b.tensor((1, filters * memory), dtype, scale=scales[2], is_variable=True)
        y = b.tensor((1, units), scale=scales[4], zero_point=zero_points[1])
        b.op(OP, [x, weights, time, biases, state], [y], rank=rank, fusedActivationFunction=activation)
        size = units
    return OpCase(name, b.build([first], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield svdf_case("svdf")
    yield svdf_case("svdf_rank_2", rank=2, memory=6)
    yield svdf_case("svdf_memory_1", memory=1)
    yield svdf_case("svdf_one_unit", units=1, size=1)
    yield svdf_case("svdf_relu", activation=1, zero_points=(3, -128))
    yield svdf_case("svdf_saturated_state", scales=(0.5, 0.05, 0.0005, 0.0001, 0.2))
    yield svdf_case("svdf_saturated_output", scales=(0.05, 0.01, 0.0005, 0.0001, 0.001))
    yield svdf_case("svdf_ties", scales=(0.5, 0.25, 0.25, 0.25, 1024.0), zero_points=(0, 0))
    yield svdf_case("svdf_two_layers", layers=2)
    int8 = (0.05, 0.01, 0.08, 0.005, 0.1)
    yield svdf_case("svdf_state_s8", state_bits=8, scales=int8, bias=3000)
    yield svdf_case("svdf_state_s8_rank_2", state_bits=8, rank=2, memory=5, scales=int8, bias=3000)
    yield svdf_case("svdf_state_s8_memory_1", state_bits=8, memory=1, scales=int8, bias=3000)
    yield svdf_case("svdf_state_s8_relu", state_bits=8, activation=1, zero_points=(3, -128), scales=int8, bias=3000)
    yield svdf_case("svdf_state_s8_saturated", state_bits=8, scales=(0.5, 0.05, 0.08, 0.005, 0.2), bias=3000)
    yield svdf_case("svdf_state_s8_ties", state_bits=8, scales=(0.5, 0.25, 4.0, 0.25, 1024.0), zero_points=(0, 0), bias=3000)
