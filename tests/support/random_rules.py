"""Rules that random models are made of: each builds one layer, or a few, on top of a value that is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

MAX_ELEMENTS = 2048
"""Of one activation."""
MAX_MACS = 150_000
"""Of one layer: the reference and the emulator must stay fast."""
MAX_BRIDGE_WEIGHTS = 8_000
INPUT = 0
"""The id of the model's input among the steps."""
RMS = 60.0
"""Typical size of an activation around its zero point, in steps of int8."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule applied to the value of an earlier step; rules of two values look for another one that fits."""

    id: int
    rule: str
    seed: int
    source: int


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A model to be built.

    Attributes:
        exact_scales: All scales are powers of two, so that sums lie on ties of the rounding.
        is_pruned: Many filters are zero, as pruning leaves them.
        output: The step whose value is the model's output, the last one when there is no such step; what comes after it is dead.
    """

    seed: int
    input_shape: tuple[int, ...]
    input_dtype: DType
    exact_scales: bool
    is_pruned: bool
    steps: tuple[Step, ...]
    output: int = -1


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the model under construction."""

    id: int
    shape: tuple[int, ...]
    dtype: DType
    scale: float
    zero_point: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


@dataclass
class Site:
    """Where a rule builds: the file, and the random numbers of its step."""

    builder: TfliteBuilder
    rng: np.random.Generator
    spec: GraphSpec
    earlier: tuple[Value, ...] = ()
    dtype: DType = DType.INT8
    """Of the activations that rules make: int8, or int16 behind the rule that turns to it."""

    @property
    def rms(self) -> float:
        """Typical size of an activation around its zero point."""
        return RMS * (256 if self.dtype is DType.INT16 else 1)

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < probability)

    def pick(self, low: int, high: int) -> int:
        """An integer in ``[low, high]``."""
        return int(self.rng.integers(low, high + 1))

    def scale(self, about: float) -> float:
        """A scale within a factor of two, float32; a power of two where the model wants it."""
        value = about * float(self.rng.uniform(0.7, 1.5))
        return float(2.0 ** np.round(np.log2(value))) if self.spec.exact_scales else float(np.float32(value))

    def zero_point(self, activation: int = 0) -> int:
        """Mostly as converters choose it, at times at the ends."""
        if activation in (1, 3) and self.chance(0.7):
            return -128
        return int(self.rng.choice([0, -128, 127, self.pick(-128, 127), self.pick(-30, 30)]))

    def activation(self) -> int:
        """None, RELU, RELU_N1_TO_1 or RELU6."""
        return int(self.rng.choice([0, 0, 1, 1, 2, 3]))

    def value(self, shape: tuple[int, ...], scale: float, zero_point: int, dtype: DType | None = None) -> Value:
        """A new activation; int16 has no zero point where the type is not given."""
        zero_point = 0 if dtype is None and self.dtype is DType.INT16 else zero_point
        dtype = self.dtype if dtype is None else dtype
        quant: dict[str, Any] = {} if dtype is DType.FLOAT32 else {"scale": scale, "zero_point": zero_point}
        return Value(self.builder.tensor(shape, dtype, **quant), shape, dtype, scale, zero_point)

    def other(self, source: Value, fits: Callable[[Value], bool]) -> Value | None:
        """An earlier value that fits beside this one, if there is any."""
        found = [v for v in self.earlier if v.id != source.id and v.dtype is self.dtype and fits(v)]
        return found[self.pick(0, len(found) - 1)] if found else None

    def like(self, source: Value, shape: tuple[int, ...]) -> Value:
        """A new activation with the scale of another one."""
        return self.value(shape, source.scale, source.zero_point, source.dtype)

    def constant(self, shape: tuple[int, ...], scale: float, zero_point: int) -> Value:
        """Random values of the file."""
        limit, zero_point = (1 << 15, 0) if self.dtype is DType.INT16 else (1 << 7, zero_point)
        data = self.rng.integers(-limit, limit, shape)
        tensor = self.builder.tensor(shape, self.dtype, scale=scale, zero_point=zero_point, data=data)
        return Value(tensor, shape, self.dtype, scale, zero_point)


Rule = Callable[[Site, Value], Value | None]
"""Builds a piece on top of a value; None when it does not fit there."""


def _output_size(site: Site, size: int, kernel: int, stride: int, dilation: int, same: bool) -> int:
    return -(-size // stride) if same else (size - (kernel - 1) * dilation - 1) // stride + 1


def _weights(
    site: Site, source: Value, shape: tuple[int, ...], axis: int, depth: int, out_scale: float, *, int32_sums: bool = True
) -> list[int]:
    """Ids of weights and, mostly, bias; scaled so that outputs fill their type, saturate now and then, or hardly move.

    Args:
        int32_sums: Int16 activations may have int32 sums.
    """
    channels = shape[axis]
    kind = site.rng.choice(["normal", "extreme", "sparse"], p=[0.8, 0.1, 0.1])
    data = np.clip(site.rng.normal(0, 40, shape), -127, 127).round()
    if kind == "extreme":
        data = site.rng.choice([-127, 127, -128], shape, p=[0.49, 0.49, 0.02])
    elif kind == "sparse":
        data[site.rng.random(shape) < 0.8] = 0
    if site.chance(0.9 if site.spec.is_pruned else 0.2):
        dead = site.rng.random(channels) < site.rng.choice([0.3, 0.6, 0.95])
        data[tuple(dead if i == axis else slice(None) for i in range(len(shape)))] = 0
    # How far sums reach, in outputs: most fill int8, some saturate or hardly move, some need shifts that are seldom seen.
    reach = float(site.rng.choice([1.0, 0.1, 12.0, 300.0, 1e-5], p=[0.84, 0.06, 0.06, 0.02, 0.02]))
    largest_bias = depth**0.5 * site.rms * 40 + 2
    if site.chance(0.06):
        # Sums of up to 30 bits, scaled so that they still are outputs.
        largest_bias = float(site.rng.choice([2.0**22, 2.0**24, 2.0**29]))
        reach *= depth**0.5 * site.rms * 40 / largest_bias
    about = reach * 45.0 / (40.0 * RMS * depth**0.5) * out_scale / source.scale
    scales: float | list[float]
    if site.chance(0.7) and not (site.spec.exact_scales and site.chance(0.5)):
        scales = [site.scale(about * float(site.rng.uniform(0.5, 1.6))) for _ in range(channels)]
        if site.chance(0.1):
            scales[site.pick(0, channels - 1)] *= 1e-9
    else:
        scales = site.scale(about)
    ids = [site.builder.tensor(shape, scale=scales, axis=axis, data=data)]
    if site.chance(0.8):
        of_bias = [source.scale * s for s in scales] if isinstance(scales, list) else source.scale * scales
        bias = site.rng.integers(-int(largest_bias), int(largest_bias), channels)
        dtype = DType.INT32
        if site.dtype is DType.INT16 and not (int32_sums and site.chance(0.4)):
            dtype = DType.INT64
        ids.append(site.builder.tensor((channels,), dtype, scale=of_bias, data=bias))
    return ids


def _windows(site: Site, source: Value, largest: int) -> dict[str, Any] | None:
    """Kernel, stride, dilation, padding and output size along both axes."""
    # Kernels of a core are written for the usual ones.
    usual = int(site.rng.choice([1, 3]))
    kernel = (usual, usual) if site.chance(0.5) else (site.pick(1, largest), site.pick(1, largest))
    stride = (site.pick(1, 3), site.pick(1, 3)) if site.chance(0.4) else (1, 1)
    dilation = (site.pick(1, 3), site.pick(1, 3)) if site.chance(0.15) else (1, 1)
    same = site.chance(0.6)
    out = tuple(_output_size(site, source.shape[1 + i], kernel[i], stride[i], dilation[i], same) for i in (0, 1))
    return None if min(out) < 1 else {"kernel": kernel, "stride": stride, "dilation": dilation, "same": same, "out": out}


def _conv(site: Site, source: Value) -> Value | None:
    if len(source.shape) != 4 or (w := _windows(site, source, 4)) is None:
        return None
    channels = source.shape[3]
    groups = int(site.rng.choice([g for g in range(1, channels + 1) if channels % g == 0])) if site.chance(0.2) else 1
    filters = groups * site.pick(1, max(1, 12 // groups))
    if groups == 1 and site.chance(0.5):
        filters = int(site.rng.choice([8, 12, 13, 16] if site.spec.is_pruned else [4, 8]))
    depth = w["kernel"][0] * w["kernel"][1] * channels // groups
    shape = (1, *w["out"], filters)
    if np.prod(shape) > MAX_ELEMENTS or np.prod(shape) * depth > MAX_MACS:
        return None
    activation, scale = site.activation(), site.scale(source.scale)
    ids = _weights(site, source, (filters, *w["kernel"], channels // groups), 0, depth, scale)
    y = site.value(shape, scale, site.zero_point(activation))
    _convolution(site, "CONV_2D", [source.id, *ids], y, w, activation)
    return y


def _depthwise(site: Site, source: Value) -> Value | None:
    if len(source.shape) != 4 or (w := _windows(site, source, 5)) is None:
        return None
    multiplier = site.pick(1, 3) if site.chance(0.3) else 1
    filters = source.shape[3] * multiplier
    depth = w["kernel"][0] * w["kernel"][1]
    shape = (1, *w["out"], filters)
    if np.prod(shape) > MAX_ELEMENTS or np.prod(shape) * depth > MAX_MACS:
        return None
    activation, scale = site.activation(), site.scale(source.scale)
    ids = _weights(site, source, (1, *w["kernel"], filters), 3, depth, scale, int32_sums=False)
    y = site.value(shape, scale, site.zero_point(activation))
    _convolution(site, "DEPTHWISE_CONV_2D", [source.id, *ids], y, w, activation, depthMultiplier=multiplier)
    return y


def _convolution(site: Site, name: str, inputs: list[int], y: Value, w: dict[str, Any], activation: int, **options: int) -> None:
    site.builder.op(
        name,
        inputs,
        [y.id],
        padding=0 if w["same"] else 1,
        strideH=w["stride"][0],
        strideW=w["stride"][1],
        dilationHFactor=w["dilation"][0],
        dilationWFactor=w["dilation"][1],
        fusedActivationFunction=activation,
        **options,
    )


def _dense(site: Site, source: Value) -> Value | None:
    units = site.pick(1, 20)
    # Over all elements, or row by row over the last axis.
    rows = site.chance(0.3) and len(source.shape) == 3
    depth = source.shape[-1] if rows else source.elements
    if units * depth > MAX_BRIDGE_WEIGHTS:
        return None
    return dense_to(site, source, (*source.shape[:-1], units) if rows else (1, units), depth, site.scale(source.scale), site.activation())


def dense_to(site: Site, source: Value, shape: tuple[int, ...], depth: int, scale: float, activation: int) -> Value:
    ids = _weights(site, source, (shape[-1], depth), 0, depth, scale)
    y = site.value(shape, scale, site.zero_point(activation))
    site.builder.op("FULLY_CONNECTED", [source.id, *ids], [y.id], fusedActivationFunction=activation, keepNumDims=len(shape) > 2)
    return y


def _pool(name: str) -> Rule:
    def rule(site: Site, source: Value) -> Value | None:
        if len(source.shape) != 4 or (w := _windows(site, source, 5)) is None:
            return None
        out = tuple(_output_size(site, source.shape[1 + i], w["kernel"][i], w["stride"][i], 1, w["same"]) for i in (0, 1))
        y = site.like(source, (1, *out, source.shape[3]))
        site.builder.op(
            name,
            [source.id],
            [y.id],
            padding=0 if w["same"] else 1,
            filterHeight=w["kernel"][0],
            filterWidth=w["kernel"][1],
            strideH=w["stride"][0],
            strideW=w["stride"][1],
            fusedActivationFunction=site.activation(),
        )
        return y

    return rule


_ACTIVATED = {"ADD", "SUB", "MUL"}
_SAME_SCALE = {"MINIMUM", "MAXIMUM", "REDUCE_MAX"}


def _binary(name: str) -> Rule:
    def rule(site: Site, source: Value) -> Value | None:
        is_same = name in _SAME_SCALE
        other = site.other(source, lambda v: v.shape == source.shape) if site.chance(0.75) else None
        if other is not None:
            other = _rescale_like(site, other, source) if is_same else other
        elif site.chance(0.3):
            other = source
        else:
            # A constant that broadcasts, or one that fills it.
            ones = tuple(1 if site.chance(0.5) else d for d in source.shape)
            quant = (source.scale, source.zero_point) if is_same else (site.scale(source.scale), site.zero_point())
            other = site.constant(source.shape if site.chance(0.4) else ones, *quant)
        activation = site.activation() if name in _ACTIVATED else 0
        largest = max(source.scale, other.scale)
        scale = site.scale(
            {"MUL": site.rms * source.scale * other.scale, "SQUARED_DIFFERENCE": site.rms * largest * largest}.get(name, 1.3 * largest)
        )
        y = site.like(source, source.shape) if is_same else site.value(source.shape, scale, site.zero_point(activation))
        pair = [source.id, other.id]
        options = {"fusedActivationFunction": activation} if name in _ACTIVATED else {}
        site.builder.op(name, pair[::-1] if site.chance(0.3) else pair, [y.id], **options)
        return y

    return rule


def _rescale_like(site: Site, source: Value, wanted: Value) -> Value:
    """The value in the scale of another one."""
    if (source.scale, source.zero_point) == (wanted.scale, wanted.zero_point):
        return source
    y = site.like(wanted, source.shape)
    site.builder.op("QUANTIZE", [source.id], [y.id])
    return y


def _known(site: Site, source: Value) -> Value | None:
    """What follows does not depend on the input at all, unless it is added to something."""
    return rescale(site, site.constant(source.shape, site.scale(source.scale), site.zero_point()))


def _concat(site: Site, source: Value) -> Value | None:
    axis = site.pick(1, len(source.shape) - 1)

    def fits(v: Value) -> bool:
        return len(v.shape) == len(source.shape) and all(
            a == b for i, (a, b) in enumerate(zip(source.shape, v.shape, strict=True)) if i != axis
        )

    other = _rescale_like(site, site.other(source, fits) or source, source)
    parts = [source, other, site.constant(source.shape, source.scale, source.zero_point)][: site.pick(2, 3)]
    shape = tuple(sum(p.shape[axis] for p in parts) if i == axis else d for i, d in enumerate(source.shape))
    if np.prod(shape) > MAX_ELEMENTS:
        return None
    y = site.like(source, shape)
    site.builder.op("CONCATENATION", [p.id for p in parts], [y.id], axis=axis - len(shape) if site.chance(0.2) else axis)
    return y


def _folded(site: Site, source: Value) -> Value | None:
    """A constant that goes through layers of its own before it is added."""
    constant = site.constant(source.shape, site.scale(source.scale), site.zero_point())
    for _ in range(site.pick(1, 3)):
        rule = str(site.rng.choice(["rescale", "ADD", "reshape twice"]))
        if rule == "reshape twice":
            flat = site.like(constant, (1, constant.elements))
            site.builder.op("RESHAPE", [constant.id], [flat.id], newShape=list(flat.shape))
            y = site.like(constant, constant.shape)
            site.builder.op("RESHAPE", [flat.id], [y.id], newShape=list(y.shape))
            constant = y
        elif rule == "ADD":
            constant = _binary("ADD")(site, constant) or constant
        else:
            constant = rescale(site, constant) or constant
    y = site.value(source.shape, site.scale(1.5 * max(source.scale, constant.scale)), site.zero_point())
    site.builder.op("ADD", [constant.id, source.id], [y.id])
    return y


def _reduce(name: str) -> Rule:
    def rule(site: Site, source: Value) -> Value | None:
        rank = len(source.shape)
        axes = [1, 2] if rank == 4 and site.chance(0.6) else sorted({site.pick(1, rank - 1) for _ in range(2)})
        keep = site.chance(0.5)
        out = tuple(1 if i in axes else d for i, d in enumerate(source.shape) if keep or i not in axes)
        same = name in _SAME_SCALE or site.chance(0.3)
        count = float(np.prod([source.shape[i] for i in axes]))
        a = site.builder.tensor((len(axes),), DType.INT32, data=[axis - rank if site.chance(0.2) else axis for axis in axes])
        scale = 0.6 * source.scale * (count**0.5 if name == "SUM" else 1.0)
        y = site.like(source, out) if same else site.value(out, site.scale(scale), site.zero_point())
        site.builder.op(name, [source.id, a], [y.id], keepDims=keep)
        return y

    return rule


def _pad(site: Site, source: Value) -> Value | None:
    paddings = [[0, 0], *([site.pick(0, 2), site.pick(0, 2)] if site.chance(0.6) else [0, 0] for _ in source.shape[1:])]
    out = tuple(d + sum(p) for d, p in zip(source.shape, paddings, strict=True))
    if len(out) > 4 or np.prod(out) > MAX_ELEMENTS:
        return None
    p = site.builder.tensor((len(out), 2), DType.INT32, data=paddings)
    y = site.like(source, out)
    site.builder.op("PAD", [source.id, p], [y.id])
    return y


def pad_to(site: Site, source: Value, elements: int) -> Value:
    """One row of more elements."""
    row = reshape_to(site, source, (1, source.elements))
    before = site.pick(0, elements - source.elements)
    p = site.builder.tensor((2, 2), DType.INT32, data=[[0, 0], [before, elements - source.elements - before]])
    y = site.like(source, (1, elements))
    site.builder.op("PAD", [row.id, p], [y.id])
    return y


def _reshape(site: Site, source: Value) -> Value | None:
    factors = [d for d in range(1, source.elements + 1) if source.elements % d == 0]
    a = int(site.rng.choice(factors))
    b = int(site.rng.choice([d for d in factors if (source.elements // a) % d == 0]))
    shape = [(1, source.elements), (1, a, source.elements // a), (1, a, b, source.elements // a // b)][site.pick(0, 2)]
    return reshape_to(site, source, shape)


def reshape_to(site: Site, source: Value, shape: tuple[int, ...]) -> Value:
    y = site.like(source, shape)
    inputs = [source.id]
    if site.chance(0.5):
        inputs.append(site.builder.tensor((len(shape),), DType.INT32, data=list(shape)))
    site.builder.op("RESHAPE", inputs, [y.id], newShape=list(shape))
    return y


def _softmax(site: Site, source: Value) -> Value | None:
    # The oracle refuses, or leaves int32.
    if source.shape[-1] > 511 or (site.dtype is DType.INT16 and source.scale > 2):
        return None
    y = site.value(source.shape, 1.0 / (32768 if site.dtype is DType.INT16 else 256), -128)
    site.builder.op("SOFTMAX", [source.id], [y.id], beta=1.0 if site.chance(0.8) else float(np.float32(site.rng.uniform(0.2, 2))))
    return y


def rescale(site: Site, source: Value) -> Value:
    """The value in a scale of its own."""
    y = site.value(source.shape, site.scale(source.scale), site.zero_point())
    site.builder.op("QUANTIZE", [source.id], [y.id])
    return y


_FLOAT_UNARY = ("ABS", "NEG", "RELU", "RELU6", "LOGISTIC", "TANH", "ELU", "HARD_SWISH", "LEAKY_RELU", "SQUARE")
_FLOAT_BINARY = ("ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM")
_FLOAT_POSITIVE = ("LOG", "SQRT", "RSQRT")


def _float_island(site: Site, source: Value) -> Value | None:
    """Elementwise ops that a converter left in float; none gets a value that the oracle cannot turn into an integer."""
    builder = site.builder

    def apply(name: str, *inputs: int, **options: float) -> int:
        result = builder.tensor(source.shape, DType.FLOAT32)
        builder.op(name, list(inputs), [result], **options)
        return result

    def scalar(low: float, high: float) -> int:
        return builder.tensor((), DType.FLOAT32, data=np.float32(site.rng.uniform(low, high)))

    def bounded(value: int, limit: float) -> int:
        low, high = (builder.tensor((), DType.FLOAT32, data=np.float32(end)) for end in (-limit, limit))
        return apply("MAXIMUM", apply("MINIMUM", value, high), low)

    values = [apply("DEQUANTIZE", source.id)]
    if site.chance(0.15):
        values.append(apply("EXP", bounded(values[0], 6.0)))
    for _ in range(site.pick(1, 4)):
        kind = site.rng.random()
        if kind < 0.5:
            name = str(site.rng.choice(_FLOAT_UNARY))
            values.append(bounded(apply(name, values[-1], **({"alpha": 0.3} if name == "LEAKY_RELU" else {})), 1000.0))
        elif kind < 0.85:
            other = values[site.pick(0, len(values) - 1)] if site.chance(0.4) else scalar(-2.0, 2.0)
            values.append(bounded(apply(str(site.rng.choice(_FLOAT_BINARY)), values[-1], other), 1000.0))
        else:
            positive = apply("ADD", apply(str(site.rng.choice(["ABS", "SQUARE"])), values[-1]), scalar(0.001, 1.0))
            values.append(apply(str(site.rng.choice(_FLOAT_POSITIVE)), positive))
    y = site.value(source.shape, site.scale(0.05), site.zero_point())
    builder.op("QUANTIZE", [values[-1]], [y.id])
    return y


WEIGHTED_RULES: dict[str, tuple[Rule, float]] = {
    "CONV_2D": (_conv, 5),
    "DEPTHWISE_CONV_2D": (_depthwise, 4),
    "FULLY_CONNECTED": (_dense, 2),
    "AVERAGE_POOL_2D": (_pool("AVERAGE_POOL_2D"), 1),
    "MAX_POOL_2D": (_pool("MAX_POOL_2D"), 1),
    "ADD": (_binary("ADD"), 3),
    "SUB": (_binary("SUB"), 0.6),
    "MUL": (_binary("MUL"), 0.8),
    "MINIMUM": (_binary("MINIMUM"), 0.3),
    "MAXIMUM": (_binary("MAXIMUM"), 0.3),
    "SQUARED_DIFFERENCE": (_binary("SQUARED_DIFFERENCE"), 0.3),
    "CONCATENATION": (_concat, 2),
    "folded": (_folded, 1),
    "known": (_known, 0.2),
    "float": (_float_island, 0.8),
    "MEAN": (_reduce("MEAN"), 0.7),
    "SUM": (_reduce("SUM"), 0.3),
    "REDUCE_MAX": (_reduce("REDUCE_MAX"), 0.3),
    "PAD": (_pad, 1.5),
    "RESHAPE": (_reshape, 1),
    "SOFTMAX": (_softmax, 0.5),
    "rescale": (rescale, 0.7),
}
ONLY_INT8 = {"REDUCE_MAX", "float"}
"""Rules that do not go on in int16."""
CHANNEL_WISE = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D", "MAX_POOL_2D"}
