"""A convolution and the ADD after it as one node: the same bits, less memory, and only where nobody else needs what lies between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.codegen.test_plan import assert_plan_is_sound
from tests.codegen.test_stream import assert_equal_to_oracle
from tests.support import standins
from tests.support.batch import run_on_board
from tests.support.standins import NONE, RELU, Net
from tinyfleet.cases import Cases
from tinyfleet_codegen.compile import compile_graph, compile_rewritten
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.emit.blob import blob_steps
from tinyfleet_codegen.fused_add import FUSED_ADD, fused_add
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.kernels import choose_kernel
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.passes import run_passes
from tinyfleet_codegen.passes.fuse_adds import fuse_adds
from tinyfleet_codegen.plan import plan_arena
from tinyfleet_codegen.reference import run_layers
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.tflite.reader import read_tflite

BOARD = "mps2_an386"
SEED = 20261126
GRAPHS = 24
INPUTS = 3


class UnevenNet(Net):
    """Layers of different scales, so that it matters which input of ADD is which."""

    def _weights(self, shape: tuple[int, ...], axis: int, depth: int, *, per_channel: bool = True) -> tuple[list[int], float]:
        ids, scale = super()._weights(shape, axis, depth, per_channel=per_channel)
        return ids, scale * float(self.rng.uniform(0.4, 2.0))


def random_net(seed: int) -> bytes:
    """Blocks of one or two convolutions and an ADD, some with a convolution beside them or in between."""
    rng = np.random.default_rng(seed)
    net = UnevenNet((1, int(rng.integers(3, 11)), int(rng.integers(2, 8)), int(rng.choice([3, 4, 8]))))
    net.rng = rng
    for _ in range(int(rng.integers(1, 4))):
        if rng.integers(2):
            net.conv(int(rng.choice([2, 4, 6, 16])), (3, 1), activation=RELU)
        before, scale = net.x, net.scale
        if rng.integers(2):
            net.conv(int(rng.choice([4, 12])), (1, 1), activation=RELU)
        net.conv(net.builder.tensors[before].shape[3], (int(rng.choice([1, 3])), int(rng.choice([1, 3, 5]))), activation=NONE)
        net.add(before, scale)
    return net.build()


def all_fused(graph: Graph) -> Graph:
    """Every pair together that a kernel takes, whether it saves memory or not."""
    for add in graph.nodes:
        for conv in graph.nodes[: graph.nodes.index(add)]:
            both = fused_add(graph, conv, add)
            if both is not None and choose_kernel(graph, both, "dsp") is not None:
                graph = replace(graph, nodes=tuple(both if n is add else n for n in graph.nodes if n is not conv))
                break
    return graph


def read(package: ModelPackage) -> Graph:
    """The graph after all passes that do not depend on a board."""
    return run_passes(read_tflite(package.tflite, package.name))


def test_random_blocks_equal_the_oracle(tmp_path: Path) -> None:
    target = load_target(BOARD)
    models: list[tuple[ModelPackage, CompiledModel]] = []
    for seed in range(SEED, SEED + GRAPHS):
        package = ModelPackage(f"net_{seed}", random_net(seed))
        fused = all_fused(read(package))
        if any(node.op is FUSED_ADD for node in fused.nodes):
            models.append((package, compile_rewritten(package, fused, target)))
    assert len(models) >= 8, f"seeds from {SEED} on"
    for package, model in models:
        assert_plan_is_sound(model.graph, model.plan, model.cpu_class)
        x = Cases(compile_graph(package, None), SEED).inputs(0, 1)
        np.testing.assert_array_equal(run_layers(model.graph, x)[-1], run_layers(read(package), x)[-1], package.name)
        # Every call is inside its kernel's contract, as a blob's has to be.
        assert blob_steps(model.graph, model.plan, "dsp").steps
    outputs = run_on_board([model for _, model in models], tmp_path, seed=SEED, inputs=INPUTS, board=BOARD)
    assert_equal_to_oracle(models, outputs)


def test_it_is_done_where_it_makes_the_arena_smaller_and_nowhere_else() -> None:
    package = ModelPackage("ic", standins.ic())
    plain = read(package)
    model = compile_graph(package, load_target(BOARD))
    assert [layer.streamed for layer in model.layers if layer.streamed] == [(2, 3)]
    assert (model.arena_bytes, plan_arena(plain, "dsp").arena_bytes) == (33_376, 33_872)
    assert model.macs == compile_graph(package, None).macs
    # Where no kernel takes both, nothing changes.
    assert fuse_adds(plain, "host") is plain


def test_tensors_that_others_need_stay_whole() -> None:
    net = Net((1, 6, 6, 4))
    before, scale = net.x, net.scale
    net.conv(4, (3, 3), activation=NONE)
    middle = net.x
    net.add(before, scale)
    graph = read(ModelPackage("plain", net.build()))
    assert any(node.op is FUSED_ADD for node in all_fused(graph).nodes)
    middle_scale = net.builder.tensors[middle].quantization.scale[0]
    net.conv(4, (1, 1), activation=RELU).add(middle, middle_scale)
    graph = read(ModelPackage("read_twice", net.build()))
    assert fused_add(graph, graph.nodes[0], graph.nodes[1]) is None
    assert fused_add(graph, graph.nodes[2], graph.nodes[3]) is not None
    assert fused_add(replace(graph, outputs=graph.nodes[2].outputs), graph.nodes[2], graph.nodes[3]) is None
