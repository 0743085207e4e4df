"""Compute a convolution and the ADD after it together where that makes the arena smaller. Not in PIPELINE: it depends on kernels.

Elsewhere they stay apart, so that what lies between them can be compared with the oracle's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tinyfleet_codegen.fused_add import fused_add
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.kernels import choose_kernel
from tinyfleet_codegen.plan import fullest_step, plan_arena


def fuse_adds(graph: Graph, cpu_class: str) -> Graph:
    """One pair after the other, each time at the fullest step, as long as it helps.

    Args:
        cpu_class: Whose kernels will run.
    """
    plan = plan_arena(graph, cpu_class)
    while True:
        found = [
            (plan_arena(candidate, cpu_class), candidate)
            for candidate in _candidates(graph, cpu_class, fullest_step(plan, len(graph.nodes)))
        ]
        if not found:
            return graph
        best, candidate = min(found, key=lambda f: f[0].arena_bytes)
        if best.arena_bytes >= plan.arena_bytes:
            return graph
        graph, plan = candidate, best


def _candidates(graph: Graph, cpu_class: str, peak: int) -> Iterator[Graph]:
    """Graphs with one pair of which one node is the fullest step. The pair runs where ADD did: all that it reads is there."""
    for at, add in enumerate(graph.nodes):
        for before in range(at):
            if peak in (before, at):
                both = fused_add(graph, graph.nodes[before], add)
                if both is not None and choose_kernel(graph, both, cpu_class) is not None:
                    rest = (*graph.nodes[:before], *graph.nodes[before + 1 : at])
                    yield replace(graph, nodes=(*rest, both, *graph.nodes[at + 1 :]))
