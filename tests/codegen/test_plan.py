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
from tinyfleet_codegen.kernels import choose_kernel
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.placement import ALIGNMENT
from tinyfleet_codegen.plan import Plan, plan_arena
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.tflite.reader import read_tflite

SCRATCH = -1
"""Stands for a node's scratch memory among tensor ids."""
LARGEST_DISTANCE = 1.2
"""Arena over lower bound: a chain of convolutions in place moves down a little with each layer, which the bound does not see."""


def assert_plan_is_sound(graph: Graph, plan: Plan, cpu_class: str = "host") -> None:
    """Independent check: simulate each step and see that no live tensor shares a byte with another, but as kernels allow."""
    last_use = dict.fromkeys(graph.inputs, -1)
    aliases: dict[int, int] = {i: i for i in graph.inputs}
    for step, node in enumerate(graph.nodes):
        is_alias = node.op.aliases_input(graph, node)
        for i in (*node.inputs, *node.outputs):
            if i is not None and graph.tensors[i].data is None:
                aliases.setdefault(i, aliases[node.inputs[0]] if is_alias and node.inputs[0] is not None else i)
                last_use[aliases[i]] = step
    last_use |= {aliases[i]: len(graph.nodes) for i in graph.outputs}
    live = set(graph.inputs)
    for step, node in enumerate(graph.nodes):
        live |= {aliases[i] for i in node.outputs}
        kernel = choose_kernel(graph, node, cpu_class)
        spans = [(plan.offsets[i], graph.tensors[i].bytes, i) for i in live]
        if step in plan.scratch:
            assert kernel is not None
            spans.append((plan.scratch[step], kernel.scratch_bytes(graph, node), SCRATCH))
        for (begin, size, tensor), (other_begin, other_size, other) in itertools.permutations(spans, 2):
            if begin + size <= other_begin or other_begin + other_size <= begin:
                continue
            if tensor in (node.outputs[0], SCRATCH) and last_use.get(other) == step:
                positions = [p for p, i in enumerate(node.inputs) if i is not None and aliases.get(i) == other]
                runner = kernel or node.op
                look = kernel.scratch_overlap if tensor == SCRATCH and kernel is not None else runner.output_overlap
                overlaps = [look(graph, node, p) for p in positions]
                assert positions and all(o is not None and o.allows(other_begin - begin) for o in overlaps), (
                    f"step {step}: {tensor} {other}"
                )
            else:
                # The same pair the other way round is the one that may be allowed.
                assert other in (node.outputs[0], SCRATCH) and last_use.get(tensor) == step, f"step {step}: {tensor} overlaps {other}"
        live = {i for i in live if last_use[i] > step}
    assert all(offset % ALIGNMENT == 0 for offset in (*plan.offsets.values(), *plan.scratch.values()))
    for i, offset in plan.offsets.items():
        part, within = plan.split(offset)
        assert within + graph.tensors[i].bytes <= plan.parts[part].bytes
    assert plan.lower_bound_bytes <= plan.arena_bytes


@pytest.mark.parametrize("board", [None, "mps2_an385", "mps2_an386"])
@pytest.mark.parametrize("name", standins.STANDINS)
def test_plans_of_standins_are_sound_and_near_the_lower_bound(name: str, board: str | None) -> None:
    target = None if board is None else load_target(board)
    model = compile_graph(ModelPackage(name, standins.STANDINS[name]()), target)
    assert_plan_is_sound(model.graph, model.plan, "host" if target is None else target.cpu_class)
    assert model.arena_bytes <= LARGEST_DISTANCE * model.arena_lower_bound_bytes


@pytest.mark.parametrize(("name", "arena_bytes"), [("kws", 9792), ("vww", 36880), ("ic", 33312), ("ad", 768), ("sww", 4736)])
def test_portable_arenas_of_standins_do_not_grow(name: str, arena_bytes: int) -> None:
    assert compile_graph(ModelPackage(name, standins.STANDINS[name]()), None).arena_bytes <= arena_bytes


def test_the_plan_is_the_same_each_time() -> None:
    graph = compile_graph(ModelPackage("ic", standins.STANDINS["ic"]()), None).graph
    assert plan_arena(graph, "dsp") == plan_arena(graph, "dsp")


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
