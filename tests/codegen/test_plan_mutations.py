"""The plan broken on purpose, by one: the bits must show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support import standins
from tests.support.standins import Net
from tinyfleet.cases import Cases
from tinyfleet.engine import HostModel
from tinyfleet.oracle import open_oracle
from tinyfleet.verify import HostRunner, compare
from tinyfleet_codegen import placement, plan, stream
from tinyfleet_codegen.compile import compile_graph, compile_rewritten
from tinyfleet_codegen.emit.c import print_c
from tinyfleet_codegen.kernels import choose_kernel
from tinyfleet_codegen.kernels import stream as stream_kernel
from tinyfleet_codegen.overlap import Overlap
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.passes import run_passes
from tinyfleet_codegen.passes.stream_rows import stream_of
from tinyfleet_codegen.tflite.reader import read_tflite

Mutate = Callable[[pytest.MonkeyPatch], None]


def residual_net() -> bytes:
    """Two blocks, so that a tensor waits while others come and go."""
    net = Net((1, 12, 9, 8)).conv(16, (3, 3))
    for _ in range(2):
        before, scale = net.x, net.scale
        net.conv(16, (3, 3)).conv(16, (3, 3), activation=standins.NONE).add(before, scale)
    return net.pool_and_flatten((12, 9)).dense(4).softmax().build()


PACKAGE = ModelPackage("blocks", residual_net())


def mismatches(arena_budget_bytes: int | None) -> int:
    """Inputs of six on which some layer differs from the oracle."""
    stream.schedule.cache_clear()
    model = compile_graph(PACKAGE, None, arena_budget_bytes=arena_budget_bytes)
    # What a broken plan writes past its end shall hit nothing else.
    model = replace(model, plan=replace(model.plan, parts=(plan.Part(0, model.arena_bytes + 4096),)))
    runner = HostRunner(HostModel(PACKAGE, compiled=model))
    return compare(runner, model, open_oracle(PACKAGE.tflite, PACKAGE.name), Cases(model, 5), count=6, per_layer=True).mismatches


def lead_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    real = placement.aligned
    monkeypatch.setattr(placement, "aligned", lambda count: real(count) - placement.ALIGNMENT)


def box_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    real = placement.aligned
    monkeypatch.setattr(plan, "aligned", lambda count: real(count) - placement.ALIGNMENT)


def life_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    def use(self: Any, group: int, step: int) -> None:
        self._last[group] = max(self._last.get(group, step), step - 1)

    monkeypatch.setattr(plan._Lifetimes, "_use", use)


def overlap_while_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node reads may be written over although a later one reads it again."""
    real = plan._Lifetimes._over

    def over(self: Any, step: int, *, is_scratch: bool) -> dict[int, Overlap]:
        last = self._last
        self._last = dict.fromkeys(last, step)
        found = real(self, step, is_scratch=is_scratch)
        self._last = last
        return found

    monkeypatch.setattr(plan._Lifetimes, "_over", over)


@pytest.mark.parametrize("mutate", [lead_too_short, box_too_small, life_too_short, overlap_while_alive])
def test_a_plan_that_is_off_by_one_is_seen(mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mismatches(None) == 0
    mutate(monkeypatch)
    assert mismatches(None) > 0


def row_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row leaves its buffer one too early."""
    real = stream._begin_row
    monkeypatch.setattr(stream, "_begin_row", lambda axis, first: min(axis.input, real(axis, first) + 1))


def buffer_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    real = stream_kernel.schedule

    def shrunk(graph: Any, node: Any) -> stream.Schedule:
        found = real(graph, node)
        return replace(found, capacities={tensor: rows - 1 for tensor, rows in found.capacities.items()})

    monkeypatch.setattr(stream_kernel, "schedule", shrunk)


@pytest.mark.parametrize("mutate", [row_forgotten, buffer_too_small])
def test_a_stream_that_is_off_by_one_is_seen(mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mismatches(1) == 0
    mutate(monkeypatch)
    try:
        assert mismatches(1) > 0
    finally:
        stream.schedule.cache_clear()


@pytest.mark.parametrize(("shift", "is_equal"), [(0, True), (-9 * 16, False)])
def test_a_stream_needs_the_lead_that_it_states(shift: int, is_equal: bool) -> None:
    graph = run_passes(read_tflite(PACKAGE.tflite, PACKAGE.name))
    node = stream_of(graph, graph.nodes[1:4], rows=1)
    assert node is not None
    graph = replace(graph, nodes=(graph.nodes[0], node, *graph.nodes[4:]))
    model = compile_rewritten(PACKAGE, graph, None)
    kernel = choose_kernel(graph, node, "host")
    overlap = None if kernel is None else kernel.output_overlap(graph, node, 0)
    # ADD reads a row of the block's input when it writes that row.
    assert overlap == Overlap(lead_bytes=0)
    # Beyond all else, the output exactly so far before the input, or a row less.
    lead = 0
    source, result = node.inputs[0], node.outputs[0]
    assert source is not None
    begin = model.arena_bytes + 8192
    offsets = model.plan.offsets | {source: begin, result: begin - lead - shift}
    moved = replace(model.plan, offsets=offsets, parts=(plan.Part(0, model.arena_bytes + 16384),))
    mutant = replace(model, plan=moved, source=print_c(model.graph, moved, PACKAGE, "host"))
    runner = HostRunner(HostModel(PACKAGE, compiled=mutant))
    result_of = compare(runner, model, open_oracle(PACKAGE.tflite, PACKAGE.name), Cases(model, 5), count=6, per_layer=True)
    assert (result_of.mismatches == 0) is is_equal
