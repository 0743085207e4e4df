"""Streaming models: variables that keep frames from one inference to the next."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.support.move_case import int_constant
from tests.support.op_cases import OpCase, rng_for
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

SCALE, ZERO_POINT = 0.1, -3


def value(b: TfliteBuilder, shape: tuple[int, ...], data: npt.ArrayLike | None = None, dtype: DType = DType.INT8) -> int:
    """A tensor of the scale that all tensors of these models have."""
    return b.tensor(shape, dtype, scale=SCALE, zero_point=0 if dtype is DType.INT16 else ZERO_POINT, data=data)


def initialise(b: TfliteBuilder, values: dict[str, tuple[tuple[int, ...], npt.ArrayLike]], dtype: DType = DType.INT8) -> None:
    """CALL_ONCE of a subgraph that assigns constants to variables."""
    init = b.subgraph()
    for variable, (shape, data) in values.items():
        init.op("ASSIGN_VARIABLE", [init.handle(variable), value(init, shape, data, dtype)], [])
    b.op("CALL_ONCE", [], [], initSubgraphIndex=len(b.others))


def read(b: TfliteBuilder, variable: str, shape: tuple[int, ...], dtype: DType = DType.INT8) -> int:
    """The variable's value."""
    output = value(b, shape, dtype=dtype)
    b.op("READ_VARIABLE", [b.handle(variable)], [output])
    return output


def assign(b: TfliteBuilder, variable: str, tensor: int) -> None:
    """A new value."""
    b.op("ASSIGN_VARIABLE", [b.handle(variable), tensor], [])


def ring(b: TfliteBuilder, variable: str, x: int, frames: int, channels: int) -> int:
    """Append the frame to what is kept, keep the last ones: ``[1, frames + 1, channels]``."""
    kept = read(b, variable, (1, frames, channels))
    joined, rest = value(b, (1, frames + 1, channels)), value(b, (1, frames, channels))
    b.op("CONCATENATION", [kept, x], [joined], axis=1)
    b.op("STRIDED_SLICE", [joined, *(int_constant(b, c) for c in ([0, 1, 0], [0, 0, 0], [1, 1, 1]))], [rest], beginMask=5, endMask=7)
    assign(b, variable, rest)
    return joined


def ring_case(name: str, *, frames: int = 3, channels: int = 4, initial: bool = True) -> OpCase:
    """The last frames and the new one."""
    b = TfliteBuilder()
    x = value(b, (1, 1, channels))
    if initial:
        initialise(b, {"ring": ((1, frames, channels), rng_for(name).integers(-128, 128, (1, frames, channels)))})
    return OpCase(name, b.build([x], [ring(b, "ring", x, frames, channels)]))


def accumulator_case(name: str, dtype: DType = DType.INT8) -> OpCase:
    """y = state / 2 + x, kept; the assigned value is the output."""
    b = TfliteBuilder()
    x = value(b, (1, 6), dtype=dtype)
    initialise(b, {"sum": ((1, 6), np.arange(-60, 60, 20))}, dtype)
    half, y = b.tensor((1, 6), dtype, scale=SCALE * 2, zero_point=0 if dtype is DType.INT16 else 1), value(b, (1, 6), dtype=dtype)
    b.op("QUANTIZE", [read(b, "sum", (1, 6), dtype)], [half])
    b.op("ADD", [half, x], [y])
    assign(b, "sum", y)
    return OpCase(name, b.build([x], [y]))


def shift_register_case(name: str) -> OpCase:
    """Three variables: the third becomes the second, the second the first, the first the input; all are shown."""
    b = TfliteBuilder()
    x = value(b, (1, 5))
    initialise(b, {v: ((1, 5), np.full((1, 5), i)) for i, v in enumerate("abc")})
    old = [read(b, v, (1, 5)) for v in "abc"]
    for variable, tensor in zip("abc", (x, old[0], old[1]), strict=True):
        assign(b, variable, tensor)
    y = value(b, (1, 15))
    b.op("CONCATENATION", old, [y], axis=1)
    return OpCase(name, b.build([x], [y]))


def swap_case(name: str) -> OpCase:
    """Two variables change places; one is read again after that, through a reshape."""
    b = TfliteBuilder()
    x = value(b, (1, 4))
    initialise(b, {"a": ((1, 4), [1, 2, 3, 4]), "b": ((1, 4), [-5, -6, -7, -8])})
    a, other = read(b, "a", (1, 4)), read(b, "b", (1, 4))
    mixed, flat = value(b, (1, 4)), value(b, (1, 2, 2))
    b.op("MAXIMUM", [a, x], [mixed])
    b.op("RESHAPE", [other], [flat])
    back = value(b, (1, 4))
    b.op("RESHAPE", [flat], [back])
    assign(b, "a", back)
    assign(b, "b", a)
    again = read(b, "a", (1, 4))
    y = value(b, (1, 12))
    b.op("CONCATENATION", [again, mixed, a], [y], axis=1)
    assign(b, "b", mixed)
    return OpCase(name, b.build([x], [y]))


def constant_case(name: str) -> OpCase:
    """A variable that nobody assigns while the model runs."""
    b = TfliteBuilder()
    x, y = value(b, (1, 4)), value(b, (1, 4))
    initialise(b, {"table": ((1, 4), [10, -20, 30, -40])})
    b.op("ADD", [x, read(b, "table", (1, 4))], [y])
    return OpCase(name, b.build([x], [y]))


def cleared_case(name: str) -> OpCase:
    """A variable that has its first value in the first run only, and a constant from then on."""
    b = TfliteBuilder()
    x, y = value(b, (1, 4)), value(b, (1, 4))
    initialise(b, {"first": ((1, 4), [10, -20, 30, -40])})
    b.op("ADD", [x, read(b, "first", (1, 4))], [y])
    assign(b, "first", value(b, (1, 4), [5, 6, -7, 8]))
    return OpCase(name, b.build([x], [y]))


def keyword_case(name: str) -> OpCase:
    """As streaming wake words are: two rings before a convolution and a dense layer, int8 in, uint8 out."""
    rng = rng_for(name)
    b = TfliteBuilder()
    x = value(b, (1, 3, 8))
    initialise(b, {"first": ((1, 2, 8), np.full((1, 2, 8), ZERO_POINT)), "second": ((1, 4, 6), np.full((1, 4, 6), -128))})
    kept = read(b, "first", (1, 2, 8))
    window, rest, image = value(b, (1, 5, 8)), value(b, (1, 2, 8)), value(b, (1, 1, 5, 8))
    b.op("CONCATENATION", [kept, x], [window], axis=1)
    b.op("STRIDED_SLICE", [window, *(int_constant(b, c) for c in ([0, -2, 0], [0, 0, 0], [1, 1, 1]))], [rest], beginMask=5, endMask=7)
    assign(b, "first", rest)
    b.op("RESHAPE", [window], [image])
    weights = b.tensor((6, 1, 5, 8), scale=(0.01 * rng.uniform(0.5, 2, 6)).tolist(), data=rng.integers(-127, 128, (6, 1, 5, 8)))
    features, frame = value(b, (1, 1, 1, 6)), value(b, (1, 1, 6))
    b.op("CONV_2D", [image, weights], [features], padding=1, strideH=1, strideW=1, fusedActivationFunction=1)
    b.op("RESHAPE", [features], [frame])
    joined = ring(b, "second", frame, 4, 6)
    dense = b.tensor((1, 30), scale=0.02, data=rng.integers(-127, 128, (1, 30)))
    score = b.tensor((1, 1), scale=0.05, zero_point=4)
    b.op("FULLY_CONNECTED", [joined, dense], [score])
    probability, y = b.tensor((1, 1), scale=1 / 256, zero_point=-128), b.tensor((1, 1), DType.UINT8, scale=1 / 256, zero_point=0)
    b.op("LOGISTIC", [score], [probability])
    b.op("QUANTIZE", [probability], [y])
    return OpCase(name, b.build([x], [y]))
