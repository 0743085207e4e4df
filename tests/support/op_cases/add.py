"""ADD cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.binary_case import binary_case, broadcast_cases, int16_cases, precise_case, two_activations_case, with_itself_case
from tests.support.float_case import float_case
from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

OP = "ADD"


def block_case(
    name: str,
    *,
    size: tuple[int, int, int] = (6, 5, 4),
    kernel: tuple[int, int] = (3, 3),
    scales: tuple[float, float, float] = (0.05, 0.04, 0.06),
    zero_points: tuple[int, int, int] = (3, -5, 9),
    activation: int = 0,
    conv_activation: int = 0,
    swap: bool = False,
) -> OpCase:
    """The input and a convolution of it: one node where a class has a kernel for both."""
    rng = rng_for(name)
    h, w, c = size
    b = TfliteBuilder()
    x = b.tensor((1, h, w, c), scale=scales[0], zero_point=zero_points[0])
    weight_scales = (0.004 * rng.uniform(0.2, 2.0, c)).tolist()
    k = b.tensor((c, *kernel, c), scale=weight_scales, data=rng.integers(-127, 128, (c, *kernel, c)))
    bias = b.tensor((c,), DType.INT32, scale=[scales[0] * s for s in weight_scales], data=rng.integers(-4000, 4000, c))
    middle = b.tensor((1, h, w, c), scale=scales[1], zero_point=zero_points[1])
    y = b.tensor((1, h, w, c), scale=scales[2], zero_point=zero_points[2])
    options = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    b.op("CONV_2D", [x, k, bias], [middle], fusedActivationFunction=conv_activation, **options)
    b.op("ADD", [middle, x] if swap else [x, middle], [y], fusedActivationFunction=activation)
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield from broadcast_cases(OP, "add")
    yield binary_case("add_relu", OP, (1, 4, 5, 3), (1, 4, 5, 3), fusedActivationFunction=1)
    yield binary_case("add_relu6", OP, (1, 4, 5, 3), (1, 4, 5, 3), fusedActivationFunction=3)
    yield binary_case("add_ties", OP, (1, 16, 16, 1), (1, 16, 16, 1), scales=(0.5, 0.5, 1.0), zero_points=(0, 0, 0))
    yield binary_case("add_saturating", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(0.5, 0.9, 0.02))
    yield binary_case("add_unequal_scales", OP, (1, 8, 8, 1), (1, 8, 8, 1), scales=(1e-3, 4.0, 2.0))
    yield binary_case("add_extreme_zero_points", OP, (1, 8, 8, 1), (1, 8, 8, 1), zero_points=(-128, 127, -128))
    yield two_activations_case("add_activations", OP, (0.0313, 0.0717, 0.0559), (-3, 17, -40))
    yield with_itself_case("add_to_itself", OP)
    yield precise_case("add_precise", OP, (0.09992585331201553, 0.0687132179737091, 0.031105918809771538), -105)
    yield block_case("add_block")
    yield block_case("add_block_swapped", swap=True)
    yield block_case("add_block_relu", size=(9, 4, 8), scales=(0.03, 0.05, 0.06), zero_points=(-128, 7, -128), activation=1)
    yield block_case("add_block_relu6", size=(3, 10, 6), zero_points=(0, 0, -128), activation=3)
    yield block_case("add_block_of_bytes", size=(8, 5, 2), kernel=(5, 1), swap=True)
    yield block_case("add_block_pointwise", size=(2, 3, 16), kernel=(1, 1), scales=(0.05, 0.05, 0.1), zero_points=(0, 0, 0))
    yield block_case("add_block_odd", size=(5, 5, 4))
    yield block_case("add_block_clamped_between", size=(6, 5, 4), scales=(0.05, 0.02, 0.06), conv_activation=3)
    yield float_case("add_float_scalar", ("ADD", -1.25))
    yield from int16_cases(OP, "add", (0.003, 0.0071, 0.005))
    yield from int16_cases(OP, "add_saturating", (0.003, 0.0071, 0.000125), fusedActivationFunction=3)
    yield from int16_cases(OP, "add_ties", (0.5, 0.5, 1.0))
