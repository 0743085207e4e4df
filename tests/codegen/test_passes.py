"""Passes leave every output byte unchanged and do what their name says."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest

from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.ir import Graph, Tensor
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.passes import run_passes
from tinyfleet_codegen.passes.drop_dead import drop_dead
from tinyfleet_codegen.passes.fold_constants import fold_constants
from tinyfleet_codegen.passes.remove_channels import remove_channels
from tinyfleet_codegen.reference import run_layers
from tinyfleet_codegen.tflite.reader import read_tflite
from tinyfleet_codegen.wire.ids import DType


def model_with_constant_and_dead_nodes() -> bytes:
    b = TfliteBuilder()
    x = b.tensor((1, 2, 3, 2), scale=0.1)
    c = b.tensor((1, 2, 3, 2), scale=0.05, zero_point=2, data=np.arange(12))
    folded, dead, y = (b.tensor((1, 2, 3, 2), scale=0.1) for _ in range(3))
    b.op("ADD", [c, c], [folded])
    b.op("ADD", [x, x], [dead])
    b.op("ADD", [x, folded], [y])
    return b.build([x], [y])


def test_pipeline_folds_and_drops_and_changes_no_byte() -> None:
    before = read_tflite(model_with_constant_and_dead_nodes(), "m")
    after = run_passes(before)
    assert [node.index for node in after.nodes] == [2]
    x = np.arange(-6, 6, dtype=np.int8).reshape(1, 2, 3, 2)
    np.testing.assert_array_equal(run_layers(before, x)[-1], run_layers(after, x)[-1])


def test_fold_keeps_the_node_that_makes_the_output() -> None:
    b = TfliteBuilder()
    x = b.tensor((1, 4), scale=0.1)
    c = b.tensor((1, 4), scale=0.1, data=np.arange(4))
    y = b.tensor((1, 4), scale=0.1)
    b.op("ADD", [c, c], [y])
    graph = fold_constants(read_tflite(b.build([x], [y]), "m"))
    assert len(graph.nodes) == 1


def test_drop_dead_keeps_everything_that_is_used() -> None:
    graph = read_tflite(model_with_constant_and_dead_nodes(), "m")
    assert [node.index for node in drop_dead(graph).nodes] == [0, 2]


class PrunedModel:
    """A random stack of convolutions, depthwise convolutions and pools with many filters of zeros, and a dense end."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.b = TfliteBuilder()
        self.shape: tuple[int, ...] = (1, 7, 6, int(self.rng.integers(1, 7)))
        self.zero_point = int(self.rng.integers(-128, 128))
        self.x = self.last = self.b.tensor(self.shape, scale=0.05, zero_point=self.zero_point)

    def build(self) -> Graph:
        """Between two and six layers, each of any kind."""
        for _ in range(int(self.rng.integers(2, 7))):
            self.rng.choice([self.convolution, self.convolution, self.depthwise, self.pool])()
        flat = self.b.tensor((1, int(np.prod(self.shape))), scale=0.05, zero_point=self.zero_point)
        self.b.op("RESHAPE", [self.last], [flat])
        self.shape, self.last = (1, int(np.prod(self.shape))), flat
        self.weighted("FULLY_CONNECTED", (5, self.shape[-1]), (1, 5), 0, {})
        return read_tflite(self.b.build([self.x], [self.last]), "pruned")

    def convolution(self) -> None:
        """1x1 or 3x3, SAME or VALID, stride 1 or 2."""
        kernel, filters = int(self.rng.choice([1, 3])), int(self.rng.integers(1, 19))
        out, padding, stride = self.window(kernel)
        attrs = {"padding": padding, "strideH": stride, "strideW": stride, "dilationHFactor": 1, "dilationWFactor": 1}
        self.weighted("CONV_2D", (filters, kernel, kernel, self.shape[3]), (1, *out, filters), 0, attrs)

    def depthwise(self) -> None:
        """3x3."""
        out, padding, stride = self.window(3)
        attrs = {"padding": padding, "strideH": stride, "strideW": stride, "dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": 1}
        self.weighted("DEPTHWISE_CONV_2D", (1, 3, 3, self.shape[3]), (1, *out, self.shape[3]), 3, attrs)

    def pool(self) -> None:
        """2x2, of one scale."""
        out, padding, stride = self.window(2)
        y = self.b.tensor((1, *out, self.shape[3]), scale=0.05, zero_point=self.zero_point)
        op = str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
        self.b.op(op, [self.last], [y], padding=padding, strideH=stride, strideW=stride, filterHeight=2, filterWidth=2)
        self.shape, self.last = (1, *out, self.shape[3]), y

    def window(self, kernel: int) -> tuple[tuple[int, int], int, int]:
        """Output size, padding and stride of a window that fits."""
        _, h, w, _ = self.shape
        stride = int(self.rng.integers(1, 3))
        same = min(h, w) < kernel or bool(self.rng.integers(0, 2))
        size = [-(-s // stride) if same else (s - kernel) // stride + 1 for s in (h, w)]
        return (size[0], size[1]), 0 if same else 1, stride

    def weighted(self, op: str, weights_shape: tuple[int, ...], out: tuple[int, ...], axis: int, attrs: dict[str, int]) -> None:
        """A layer of which half the filters, and some more weights, are zero; scales may be one for all or tiny."""
        channels = weights_shape[axis]
        weights = self.rng.integers(-127, 128, weights_shape)
        weights[self.rng.random(weights_shape) < self.rng.choice([0.0, 0.8])] = 0
        dead = np.flatnonzero(self.rng.random(channels) < 0.5)
        weights[(slice(None),) * axis + (dead,)] = 0
        scales = (0.02 * self.rng.uniform(0.2, 2.0, channels)).tolist()
        if channels > 1 and self.rng.random() < 0.3:
            scales[0] = 1e-13
        k = self.b.tensor(weights_shape, scale=scales if op != "FULLY_CONNECTED" else 0.02, axis=axis, data=weights)
        inputs = [self.last, k]
        if self.rng.random() < 0.7:
            # A bias of zero leaves the zero point, which may be known even where windows leave the image.
            bias = self.rng.integers(-900, 900, channels) * self.rng.integers(0, 2, channels)
            scale = [0.05 * s for s in scales] if op != "FULLY_CONNECTED" else 0.05 * 0.02
            inputs.append(self.b.tensor((channels,), DType.INT32, scale=scale, data=bias))
        self.zero_point = int(self.rng.integers(-128, 128))
        y = self.b.tensor(out, scale=0.05, zero_point=self.zero_point)
        self.b.op(op, inputs, [y], fusedActivationFunction=int(self.rng.integers(0, 2)), **attrs)
        self.shape, self.last = out, y


def layers_that_differ(graph: Graph, seed: int) -> int:
    """Layers whose values differ between a graph and what ``remove_channels`` leaves of it."""
    cut = remove_channels(graph)
    x: Array = np.random.default_rng(seed).integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)

    def left(tensor: Tensor, whole: Array) -> Array:
        return whole if tensor.channels is None else whole[..., list(tensor.channels)]

    tensors = [cut.output_tensor(node) for node in cut.nodes]
    whole = run_layers(graph, x)
    return sum(not np.array_equal(left(t, a), b) for t, a, b in zip(tensors, whole, run_layers(cut, x), strict=True))


SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_left_of_pruned_models_has_the_same_values(seed: int) -> None:
    assert layers_that_differ(PrunedModel(seed).build(), seed) == 0


def test_many_channels_are_removed() -> None:
    def channels(graph: Graph) -> int:
        return sum(graph.output_tensor(node).shape[-1] for node in graph.nodes)

    graphs = [PrunedModel(seed).build() for seed in SEEDS]
    assert sum(channels(remove_channels(graph)) for graph in graphs) < 0.8 * sum(channels(graph) for graph in graphs)


@pytest.mark.parametrize(
    ("function", "mutant"),
    [
        # Windows that leave the image read zero points, not the known value.
        ("_stays_inside", lambda _axis: True),
        # What was known of a removed channel goes into the bias.
        ("_known_sums", lambda _graph, _node, _source, channels: 0 * channels.sum()),
        # A channel that somebody reads stays.
        ("_keep_for", lambda *_: None),
    ],
)
def test_without_a_precondition_values_differ(function: str, mutant: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("tinyfleet_codegen.passes.remove_channels")
    monkeypatch.setattr(module, function, mutant)
    wrong = 0
    for seed in SEEDS:
        try:
            wrong += layers_that_differ(PrunedModel(seed).build(), seed) > 0
        except (AssertionError, ValueError, IndexError, ZeroDivisionError):  # shapes that no longer fit together
            wrong += 1
    assert wrong > 0
