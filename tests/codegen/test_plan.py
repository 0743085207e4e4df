"""The arena plan: nothing that lives at the same time overlaps, and the lower bound is one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import standins
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.plan import ALIGNMENT, Plan, plan_arena
from tinyfleet_codegen.tflite.reader import read_tflite


def assert_plan_is_sound(graph: Graph, plan: Plan) -> None:
    """Independent check: simulate each step and see that no live tensor shares a byte with another."""
    last_use = dict.fromkeys(graph.inputs, -1)
    for step, node in enumerate(graph.nodes):
        last_use |= {i: step for i in (*node.inputs, *node.outputs) if i is not None and graph.tensors[i].data is None}
    last_use |= {i: len(graph.nodes) for i in graph.outputs}
    aliases: dict[int, int] = {}
    live = set(graph.inputs)
    for step, node in enumerate(graph.nodes):
        live |= set(node.outputs)
        if node.op.aliases_input(graph, node) and node.inputs[0] is not None:
            aliases[node.outputs[0]] = aliases.get(node.inputs[0], node.inputs[0])
        spans = sorted((plan.offsets[i], plan.offsets[i] + graph.tensors[i].bytes, aliases.get(i, i)) for i in live)
        for (_, end, group), (start, _, other) in itertools.pairwise(spans):
            assert end <= start or group == other, f"step {step}: tensors overlap at {start}"
        live = {i for i in live if last_use[i] > step}
    assert all(offset % ALIGNMENT == 0 for offset in plan.offsets.values())
    assert all(offset + graph.tensors[i].bytes <= plan.arena_bytes for i, offset in plan.offsets.items())
    assert plan.lower_bound_bytes <= plan.arena_bytes


@pytest.mark.parametrize("name", standins.STANDINS)
def test_standins_reach_the_lower_bound(name: str) -> None:
    model = compile_graph(ModelPackage(name, standins.STANDINS[name]()), None)
    assert_plan_is_sound(model.graph, model.plan)
    assert model.arena_bytes == model.arena_lower_bound_bytes


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=1, max_size=12))
def test_random_graphs_of_adds_never_overlap(steps: list[tuple[int, int, bool]]) -> None:
    b = TfliteBuilder()
    shapes = [(1, 3, 4, 5)]
    values = [b.tensor(shapes[0], scale=0.1)]
    for first, second, reshape in steps:
        left, right = values[-1 - first % len(values)], values[-1 - second % len(values)]
        y = b.tensor(shapes[0], scale=0.1)
        if reshape:
            b.op("RESHAPE", [left], [y])
        else:
            b.op("ADD", [left, right], [y])
        values.append(y)
    graph = read_tflite(b.build([values[0]], [values[-1]]), "adds")
    assert_plan_is_sound(graph, plan_arena(graph, "host"))
