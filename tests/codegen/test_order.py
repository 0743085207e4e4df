"""The order of nodes that needs the least memory."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import standins
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.ir_check import check_graph
from tinyfleet_codegen.passes.order_nodes import order_nodes
from tinyfleet_codegen.plan import plan_arena
from tinyfleet_codegen.reference import run_layers
from tinyfleet_codegen.tflite.reader import read_tflite


class Branches:
    """Dense layers of a model whose file lists its branches in turn."""

    def __init__(self) -> None:
        self.builder = TfliteBuilder()
        self.source = self.builder.tensor((1, 16), scale=0.1)
        self._depth = {self.source: 16}
        self._rng = np.random.default_rng(7)

    def dense(self, x: int, units: int) -> int:
        depth = self._depth[x]
        weights = self.builder.tensor((units, depth), scale=0.02, data=self._rng.integers(-127, 128, (units, depth)))
        y = self.builder.tensor((1, units), scale=0.1)
        self.builder.op("FULLY_CONNECTED", [x, weights], [y], fusedActivationFunction=0)
        self._depth[y] = units
        return y

    def add(self, a: int, b: int) -> int:
        y = self.builder.tensor((1, self._depth[a]), scale=0.1)
        self.builder.op("ADD", [a, b], [y], fusedActivationFunction=0)
        self._depth[y] = self._depth[a]
        return y

    def graph(self, output: int) -> Graph:
        return read_tflite(self.builder.build([self.source], [output]), "branches")


def interleaved() -> Graph:
    """Two branches grow first and shrink then: one after the other needs half the memory."""
    net = Branches()
    wide = [net.dense(net.source, 2000) for _ in range(2)]
    narrow = [net.dense(x, 16) for x in wide]
    return net.graph(net.add(*narrow))


def test_one_branch_is_finished_before_the_next_begins() -> None:
    graph = interleaved()
    ordered = order_nodes(graph)
    check_graph(ordered)
    assert [node.index for node in ordered.nodes] == [0, 2, 1, 3, 4]
    assert plan_arena(ordered, "host").arena_bytes < 0.55 * plan_arena(graph, "host").arena_bytes
    x = np.arange(16, dtype=np.int8).reshape(1, 16)
    before, after = run_layers(graph, x), run_layers(ordered, x)
    for node, value in zip(ordered.nodes, after, strict=True):
        np.testing.assert_array_equal(value, before[graph.nodes.index(node)])
    assert order_nodes(ordered) is ordered


@pytest.mark.parametrize("name", standins.STANDINS)
def test_no_order_of_a_standin_is_worse(name: str) -> None:
    graph = read_tflite(standins.STANDINS[name](), name)
    assert plan_arena(order_nodes(graph), "host").arena_bytes <= plan_arena(graph, "host").arena_bytes


def test_a_graph_too_wide_for_the_search_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module(order_nodes.__module__), "MAX_STATES", 3)
    graph = interleaved()
    assert order_nodes(graph) is graph


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([16, 64, 512])), min_size=3, max_size=6))
def test_no_valid_order_has_a_lower_bound_below_the_one_that_was_found(steps: list[tuple[int, int, int]]) -> None:
    net = Branches()
    values = [net.source]
    for first, second, units in steps:
        a, b = values[first % len(values)], values[second % len(values)]
        values.append(net.dense(a, units) if second % 3 or net._depth[a] != net._depth[b] else net.add(a, b))
    graph = net.graph(values[-1])
    used = {values[-1]}
    for node in reversed(graph.nodes):
        if node.outputs[0] in used:
            used |= {i for i in node.inputs if i is not None}
    graph = replace(graph, nodes=tuple(node for node in graph.nodes if node.outputs[0] in used))
    found = plan_arena(order_nodes(graph), "host").lower_bound_bytes
    best = found
    for order in itertools.permutations(graph.nodes):
        made = {i for i, t in enumerate(graph.tensors) if t.data is not None} | set(graph.inputs)
        for node in order:
            if not {i for i in node.inputs if i is not None} <= made:
                break
            made |= set(node.outputs)
        else:
            best = min(best, plan_arena(replace(graph, nodes=order), "host").arena_bytes)
    # The search compares peaks of steps, which no placement goes below.
    assert found <= best
