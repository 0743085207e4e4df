"""Compute layers together, some rows at a time, where that makes the arena smaller. Not in PIPELINE: it costs instructions.

Instructions: rows that are needed again move within their buffer, and each layer is called once per stripe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.plan import fullest_step, plan_arena
from tinyfleet_codegen.stream import STREAM, StreamAttrs, activations, can_stream

ROWS = (8, 4, 2, 1)
"""Of the output at a time, cheapest first."""
MAX_LAYERS = 16


def stream_rows(graph: Graph, cpu_class: str, budget_bytes: int) -> Graph:
    """Put layers into streams until the arena fits the budget, with as many rows at a time as it allows.

    When nothing fits, the smallest arena that was found.

    Args:
        cpu_class: Whose kernels will run.
    """
    best, best_bytes = graph, plan_arena(graph, cpu_class).arena_bytes
    for rows in ROWS:
        if best_bytes <= budget_bytes:
            break
        candidate, candidate_bytes = _stream_with(graph, cpu_class, budget_bytes, rows)
        if candidate_bytes < best_bytes:
            best, best_bytes = candidate, candidate_bytes
    return _with_fewer_rows(best, cpu_class, budget_bytes)


def _with_fewer_rows(graph: Graph, cpu_class: str, budget_bytes: int) -> Graph:
    """Halve the rows of the stream at the fullest step until the arena fits, as long as that helps."""
    plan = plan_arena(graph, cpu_class)
    while plan.arena_bytes > budget_bytes:
        peak = max(0, fullest_step(plan, len(graph.nodes)))
        node = graph.nodes[peak]
        if not isinstance(node.attrs, StreamAttrs) or node.attrs.rows == 1:
            break
        narrower = replace(node, attrs=replace(node.attrs, rows=node.attrs.rows // 2))
        candidate = replace(graph, nodes=(*graph.nodes[:peak], narrower, *graph.nodes[peak + 1 :]))
        smaller = plan_arena(candidate, cpu_class)
        if smaller.arena_bytes >= plan.arena_bytes:
            break
        graph, plan = candidate, smaller
    return graph


def _stream_with(graph: Graph, cpu_class: str, budget_bytes: int, rows: int) -> tuple[Graph, int]:
    """One stream after the other, each the one that helps most, then the one of fewest layers."""
    plan = plan_arena(graph, cpu_class)
    smallest = plan.arena_bytes
    while smallest > budget_bytes:
        peak = max(0, fullest_step(plan, len(graph.nodes)))
        found = [(plan_arena(g, cpu_class).arena_bytes, count, g) for count, g in _candidates(graph, peak, rows)]
        if not found:
            break
        arena, _, candidate = min(found, key=lambda f: (max(f[0], budget_bytes), f[1], f[0]))
        if arena >= smallest:
            break
        graph, smallest = candidate, arena
        plan = plan_arena(graph, cpu_class)
    return graph, smallest


def _candidates(graph: Graph, peak: int, rows: int) -> Iterator[tuple[int, Graph]]:
    """Graphs with one stream around a step, and its layers' count."""
    for first in range(max(0, peak - MAX_LAYERS), peak + 1):
        for last in range(max(first + 1, peak), min(first + MAX_LAYERS, len(graph.nodes))):
            nodes = graph.nodes[first : last + 1]
            stream = stream_of(graph, nodes, rows)
            if stream is not None:
                yield len(nodes), replace(graph, nodes=(*graph.nodes[:first], stream, *graph.nodes[last + 1 :]))


def stream_of(graph: Graph, nodes: tuple[Node, ...], rows: int) -> Node | None:
    """The node that computes them together; None unless they lead from one tensor to one tensor."""
    if not all(n.op is not STREAM and can_stream(graph, n) for n in nodes):
        return None
    made = {n.outputs[0] for n in nodes}
    read = {i for n in nodes for i in activations(graph, n)} - made
    others = {i for n in graph.nodes if n not in nodes for i in n.inputs} | set(graph.results)
    left = made & others
    if len(read) != 1 or left != {nodes[-1].outputs[0]}:
        return None
    return Node(nodes[0].index, STREAM, StreamAttrs(nodes, rows), (read.pop(),), nodes[-1].outputs)
