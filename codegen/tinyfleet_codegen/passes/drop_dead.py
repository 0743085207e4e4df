"""Remove nodes whose results nobody reads."""

from __future__ import annotations

from dataclasses import replace

from tinyfleet_codegen.ir import Graph


def drop_dead(graph: Graph) -> Graph:
    """Keep what the model's outputs and its states depend on."""
    wanted = set(graph.results)
    kept = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(i for i in node.inputs if i is not None)
    return replace(graph, nodes=tuple(reversed(kept)))
