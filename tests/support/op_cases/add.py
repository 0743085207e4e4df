"""ADD cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder

OP = "ADD"


def add_case(
    name: str,
    shape: tuple[int, ...],
    other: tuple[int, ...],
    *,
    activation: int = 0,
    scales: tuple[float, float, float] = (0.03, 0.07, 0.05),
    zero_points: tuple[int, int, int] = (4, -11, 7),
    swap: bool = False,
) -> OpCase:
    """The input plus a constant, which broadcasts."""
    rng = rng_for(name)
    b = TfliteBuilder()
    x = b.tensor(shape, scale=scales[0], zero_point=zero_points[0])
    c = b.tensor(other, scale=scales[1], zero_point=zero_points[1], data=rng.integers(-128, 128, other))
    rank = max(len(shape), len(other))
    padded = [(1,) * (rank - len(s)) + s for s in (shape, other)]
    out = tuple(max(p, q) for p, q in zip(*padded, strict=True))
    y = b.tensor(out, scale=scales[2], zero_point=zero_points[2])
    b.op("ADD", [c, x] if swap else [x, c], [y], fusedActivationFunction=activation)
    return OpCase(name, b.build([x], [y]))


def doubled_case(name: str) -> OpCase:
    """The input plus itself."""
    b = TfliteBuilder()
    x = b.tensor((1, 4, 5, 3), scale=0.05, zero_point=-20)
    y = b.tensor((1, 4, 5, 3), scale=0.09, zero_point=1)
    b.op("ADD", [x, x], [y])
    return OpCase(name, b.build([x], [y]))


def cases() -> Iterator[OpCase]:
    """All cases."""
    yield add_case("add_same_shape", (1, 4, 5, 3), (1, 4, 5, 3))
    yield add_case("add_swapped", (1, 4, 5, 3), (1, 4, 5, 3), swap=True)
    yield add_case("add_channels", (1, 4, 5, 3), (3,))
    yield add_case("add_scalar", (1, 4, 5, 3), (1,))
    yield add_case("add_row", (1, 4, 5, 3), (1, 1, 5, 1))
    yield add_case("add_broadcasts_input", (1, 1, 1, 3), (1, 4, 5, 3))
    yield add_case("add_rank_2", (1, 11), (1, 11))
    yield add_case("add_relu", (1, 4, 5, 3), (1, 4, 5, 3), activation=1)
    yield add_case("add_relu6", (1, 4, 5, 3), (1, 4, 5, 3), activation=3)
    yield add_case("add_ties", (1, 16, 16, 1), (1, 16, 16, 1), scales=(0.5, 0.5, 1.0), zero_points=(0, 0, 0))
    yield add_case("add_saturating", (1, 8, 8, 1), (1, 8, 8, 1), scales=(0.5, 0.9, 0.02))
    yield add_case("add_unequal_scales", (1, 8, 8, 1), (1, 8, 8, 1), scales=(1e-3, 4.0, 2.0))
    yield add_case("add_extreme_zero_points", (1, 8, 8, 1), (1, 8, 8, 1), zero_points=(-128, 127, -128))
    yield doubled_case("add_to_itself")
