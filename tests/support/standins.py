"""Seeded stand-ins of the five MLPerf Tiny architectures: the same layers and shapes, random weights.

They keep equality tests meaningful where the real files are absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

SEED = 2026
RELU, NONE = 1, 0
SPREAD = 42.0
"""Standard deviation that each layer's outputs should have before ReLU, in steps of int8."""


@dataclass
class Net:
    """Stacks layers; scales are chosen so that activations fill most of int8."""

    shape: tuple[int, ...]
    scale: float = 0.03
    zero_point: int = -1
    rms: float = 74.0
    builder: TfliteBuilder = field(default_factory=TfliteBuilder)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))
    x: int = field(init=False)
    source: int = field(init=False)

    def __post_init__(self) -> None:
        self.source = self.x = self.builder.tensor(self.shape, scale=self.scale, zero_point=self.zero_point)

    def _weights(self, shape: tuple[int, ...], axis: int, depth: int, *, per_channel: bool = True) -> tuple[list[int], float]:
        """Tensor ids of weights and bias, and the output scale."""
        channels = shape[axis]
        values = np.clip(self.rng.normal(0, 40, shape), -127, 127).round()
        # Keeps the real range of activations, so that the softmax at the end is not saturated.
        typical = SPREAD / (40 * self.rms * depth**0.5)
        scales = (typical * self.rng.uniform(0.5, 1.5, channels)).tolist() if per_channel else typical
        biases = [self.scale * s for s in scales] if isinstance(scales, list) else self.scale * scales
        weights = self.builder.tensor(shape, scale=scales, axis=axis, data=values)
        bias = self.builder.tensor(
            (channels,), DType.INT32, scale=biases, data=self.rng.integers(-10, 10, channels) * int(depth**0.5 * self.rms)
        )
        return [weights, bias], self.scale

    def _output(self, shape: tuple[int, ...], scale: float, activation: int) -> int:
        self.shape, self.scale, self.zero_point = shape, scale, -128 if activation else 4
        self.rms = 0.7 * SPREAD if activation else SPREAD
        return self.builder.tensor(shape, scale=scale, zero_point=self.zero_point)

    def conv(
        self, filters: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1), *, activation: int = RELU, same: bool = True
    ) -> Net:
        """CONV_2D."""
        _, h, w, c = self.shape
        ids, scale = self._weights((filters, *kernel, c), 0, kernel[0] * kernel[1] * c)
        out = tuple(-(-s // t) if same else (s - k) // t + 1 for s, k, t in zip((h, w), kernel, stride, strict=True))
        y = self._output((1, *out, filters), scale, activation)
        self.builder.op(
            "CONV_2D",
            [self.x, *ids],
            [y],
            padding=0 if same else 1,
            strideH=stride[0],
            strideW=stride[1],
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=activation,
        )
        self.x = y
        return self

    def depthwise(self, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1), *, same: bool = True) -> Net:
        """DEPTHWISE_CONV_2D with ReLU."""
        _, h, w, c = self.shape
        ids, scale = self._weights((1, *kernel, c), 3, kernel[0] * kernel[1])
        out = tuple(-(-s // t) if same else (s - k) // t + 1 for s, k, t in zip((h, w), kernel, stride, strict=True))
        y = self._output((1, *out, c), scale, RELU)
        self.builder.op(
            "DEPTHWISE_CONV_2D",
            [self.x, *ids],
            [y],
            padding=0 if same else 1,
            strideH=stride[0],
            strideW=stride[1],
            dilationHFactor=1,
            dilationWFactor=1,
            depthMultiplier=1,
            fusedActivationFunction=RELU,
        )
        self.x = y
        return self

    def dense(self, units: int, *, activation: int = NONE) -> Net:
        """FULLY_CONNECTED, per tensor."""
        depth = self.shape[-1]
        ids, scale = self._weights((units, depth), 0, depth, per_channel=False)
        y = self._output((1, units), scale, activation)
        self.builder.op("FULLY_CONNECTED", [self.x, *ids], [y], fusedActivationFunction=activation)
        self.x = y
        return self

    def add(self, other: int, scale: float) -> Net:
        """ADD of a tensor of that scale, with ReLU."""
        shape = self.shape
        y = self._output(shape, 1.4 * max(self.scale, scale), RELU)
        self.builder.op("ADD", [self.x, other], [y], fusedActivationFunction=RELU)
        self.x = y
        return self

    def pool_and_flatten(self, kernel: tuple[int, int]) -> Net:
        """Global AVERAGE_POOL_2D, then RESHAPE."""
        c = self.shape[3]
        y = self.builder.tensor((1, 1, 1, c), scale=self.scale, zero_point=self.zero_point)
        self.builder.op("AVERAGE_POOL_2D", [self.x], [y], padding=1, filterHeight=kernel[0], filterWidth=kernel[1], strideH=1, strideW=1)
        self.x, self.shape = y, (1, 1, 1, c)
        return self.flatten()

    def flatten(self) -> Net:
        """RESHAPE to one row."""
        elements = int(np.prod(self.shape))
        y = self.builder.tensor((1, elements), scale=self.scale, zero_point=self.zero_point)
        target = self.builder.tensor((2,), DType.INT32, data=[1, elements])
        self.builder.op("RESHAPE", [self.x, target], [y], newShape=[1, elements])
        self.x, self.shape = y, (1, elements)
        return self

    def softmax(self) -> Net:
        """SOFTMAX."""
        y = self.builder.tensor(self.shape, scale=1.0 / 256.0, zero_point=-128)
        self.builder.op("SOFTMAX", [self.x], [y], beta=1.0)
        self.x = y
        return self

    def build(self) -> bytes:
        """The file."""
        return self.builder.build([self.source], [self.x])


def kws() -> bytes:
    """DS-CNN: one 10x4 convolution, four separable ones of 64 channels."""
    net = Net((1, 49, 10, 1)).conv(64, (10, 4), (2, 2))
    for _ in range(4):
        net.depthwise((3, 3)).conv(64, (1, 1))
    return net.pool_and_flatten((25, 5)).dense(12).softmax().build()


def vww() -> bytes:
    """MobileNet V1, width 0.25, 96x96."""
    net = Net((1, 96, 96, 3)).conv(8, (3, 3), (2, 2))
    for filters, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        net.depthwise((3, 3), (stride, stride)).conv(filters, (1, 1))
    return net.pool_and_flatten((3, 3)).dense(2).softmax().build()


def ic() -> bytes:
    """ResNet-8."""
    net = Net((1, 32, 32, 3)).conv(16, (3, 3))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        before = (net.x, net.shape, net.scale, net.zero_point)
        net.conv(filters, (3, 3), (stride, stride)).conv(filters, (3, 3), activation=NONE)
        main = (net.x, net.shape, net.scale, net.zero_point)
        net.x, net.shape, net.scale, net.zero_point = before
        if stride != 1:
            net.conv(filters, (1, 1), (stride, stride), activation=NONE)
        net.add(main[0], main[2])
    return net.pool_and_flatten((8, 8)).dense(10).softmax().build()


def ad() -> bytes:
    """Autoencoder of ten dense layers."""
    net = Net((1, 640))
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        net.dense(units, activation=RELU)
    return net.dense(640).build()


def sww() -> bytes:
    """Streaming wake word in its batch form: convolutions along time."""
    net = Net((1, 30, 1, 40)).conv(128, (3, 1), same=False)
    for kernel in ((5, 1), (10, 1), (15, 1)):
        net.depthwise(kernel, same=kernel[0] != 15).conv(32 if kernel[0] == 15 else 128, (1, 1))
    return net.flatten().dense(3).softmax().build()


STANDINS: dict[str, Callable[[], bytes]] = {"kws": kws, "vww": vww, "ic": ic, "ad": ad, "sww": sww}
"""By the benchmark's short name."""
