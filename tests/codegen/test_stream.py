"""Layers computed together, some rows at a time: the same bits from less memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.codegen.test_plan import assert_plan_is_sound
from tests.support import standins
from tests.support.batch import run_on_board, run_on_host
from tests.support.standins import NONE, RELU, Net
from tinyfleet.cases import Cases
from tinyfleet.oracle import open_oracle
from tinyfleet_codegen.compile import compile_graph, compile_rewritten
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.errors import DoesNotFit
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.passes import run_passes
from tinyfleet_codegen.passes.stream_rows import stream_of
from tinyfleet_codegen.stream import STREAM, Call, schedule
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.tflite.reader import read_tflite

SEED = 20261126
INPUTS = 3
GRAPHS = 12


def random_net(seed: int) -> bytes:
    """A few convolutions of any window, stride and padding, some in residual blocks."""
    rng = np.random.default_rng(seed)
    net = Net((1, int(rng.integers(6, 14)), int(rng.integers(5, 10)), int(rng.integers(1, 4)) * 4))
    net.rng = rng
    for _ in range(int(rng.integers(2, 6))):
        kernel = (int(rng.choice([1, 3, 5])), int(rng.choice([1, 3])))
        stride = (int(rng.choice([1, 1, 2])), int(rng.choice([1, 2])))
        same = bool(rng.integers(2)) or kernel[0] > net.shape[1] or kernel[1] > net.shape[2]
        kind = rng.choice(["conv", "depthwise", "residual"])
        if kind == "residual":
            before, scale = net.x, net.scale
            net.conv(net.shape[3], (3, 3), activation=RELU).conv(net.shape[3], (int(rng.choice([1, 3])), 3), activation=NONE)
            net.add(before, scale)
        elif kind == "conv":
            net.conv(int(rng.integers(1, 5)) * 4, kernel, stride, same=same)
        else:
            net.depthwise(kernel, stride, same=same)
    return net.build()


def streamed_graphs(graph: Graph, rng: np.random.Generator) -> list[Graph]:
    """The graph with a stream of each run of layers that can be one, of some rows."""
    count = len(graph.nodes)
    found = []
    for first in range(count):
        for last in range(first, count):
            nodes = graph.nodes[first : last + 1]
            stream = stream_of(graph, nodes, int(rng.choice([1, 2, 3, 8])))
            if stream is not None:
                found.append(replace(graph, nodes=(*graph.nodes[:first], stream, *graph.nodes[last + 1 :])))
    return found


def random_models(board: str | None) -> list[tuple[ModelPackage, CompiledModel]]:
    """Compiled streams of the random nets."""
    target = None if board is None else load_target(board)
    models = []
    for seed in range(SEED, SEED + GRAPHS):
        package = ModelPackage(f"net_{seed}", random_net(seed))
        graph = run_passes(read_tflite(package.tflite, package.name))
        for i, streamed in enumerate(streamed_graphs(graph, np.random.default_rng(seed))):
            named = replace(package, name=f"{package.name}_{i}")
            models.append((package, compile_rewritten(named, streamed, target)))
    return models


def assert_equal_to_oracle(models: list[tuple[ModelPackage, CompiledModel]], outputs: list[np.ndarray]) -> None:
    expected: dict[str, np.ndarray] = {}
    for (package, model), got in zip(models, outputs, strict=True):
        if package.name not in expected:
            inputs = Cases(compile_graph(package, None), SEED).inputs(0, INPUTS)
            expected[package.name] = open_oracle(package.tflite, package.name).run(inputs)
        streams = [(layer.op_index, layer.streamed) for layer in model.layers if layer.streamed]
        np.testing.assert_array_equal(got, expected[package.name], f"{model.name}: {streams}")


@pytest.mark.parametrize("board", [None, "mps2_an386", "mps2_an385_v6m", "mps3_an547"])
def test_random_streams_equal_the_oracle(board: str | None, tmp_path: Path) -> None:
    models = random_models(board)
    assert len(models) > 50
    # All on the host; on a board, where it is the kernels that differ, every other one.
    models = models[:: 1 if board is None else 2]
    for _, model in models:
        assert_plan_is_sound(model.graph, model.plan, model.cpu_class)
    compiled = [model for _, model in models]
    if board is None:
        assert_equal_to_oracle(models, run_on_host(compiled, tmp_path, seed=SEED, inputs=INPUTS))
    else:
        assert_equal_to_oracle(models, run_on_board(compiled, tmp_path, seed=SEED, inputs=INPUTS, board=board))


def test_streams_run_from_blobs(tmp_path: Path) -> None:
    models = random_models(None)[::4]
    assert_equal_to_oracle(models, run_on_host([model for _, model in models], tmp_path, seed=SEED, inputs=INPUTS, blobs=True))


@pytest.mark.parametrize(
    ("name", "budget", "expected"), [("ic", 26_000, 25_632), ("ic", 1, 18_944), ("vww", 32_000, 31_488), ("vww", 1, 27_760)]
)
def test_a_budget_makes_the_arena_smaller(name: str, budget: int, expected: int) -> None:
    package = ModelPackage(name, standins.STANDINS[name]())
    model = compile_graph(package, None, arena_budget_bytes=budget)
    assert model.arena_bytes <= expected
    assert any(node.op is STREAM for node in model.graph.nodes)
    assert model.macs == compile_graph(package, None).macs
    assert_plan_is_sound(model.graph, model.plan)


def test_a_budget_that_is_met_changes_nothing() -> None:
    package = ModelPackage("ic", standins.ic())
    plain = compile_graph(package, None)
    assert compile_graph(package, None, arena_budget_bytes=plain.arena_bytes).source == plain.source


def test_a_board_with_too_little_ram_gets_streams_and_a_smaller_one_is_refused() -> None:
    package = ModelPackage("ic", standins.ic())
    board = replace(load_target("mps2_an385"), cpu_class="host")
    small = replace(board, ram_bytes=board.stack_bytes + 22_000)
    assert [layer.streamed for layer in compile_graph(package, small).layers if layer.streamed] == [(1, 2, 3), (4, 5, 6, 7)]
    with pytest.raises(DoesNotFit, match="holds 18944"):
        compile_graph(package, replace(small, ram_bytes=board.stack_bytes + 18_900))


def test_no_row_is_computed_twice_and_every_row_is_there_when_it_is_read() -> None:
    model = compile_graph(ModelPackage("ic", standins.ic()), None, arena_budget_bytes=1)
    for node in model.graph.nodes:
        if node.op is not STREAM:
            continue
        made: dict[int, int] = {}
        for stripe in schedule(model.graph, node).stripes:
            for step in stripe:
                if isinstance(step, Call):
                    assert step.output.first == made.get(step.output.tensor, 0)
                    made[step.output.tensor] = step.output.end
                    assert all(rows.end <= made[rows.tensor] and rows.base <= rows.first for rows in step.sources if rows.tensor in made)
        assert all(rows == model.graph.tensors[tensor].shape[1] for tensor, rows in made.items() if tensor == node.outputs[0])
