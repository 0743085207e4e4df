"""Rewrites of the graph, in order. Each leaves every output byte unchanged and the graph valid."""

from __future__ import annotations

from collections.abc import Callable

from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.ir_check import check_graph
from tinyfleet_codegen.passes.drop_dead import drop_dead
from tinyfleet_codegen.passes.fold_constants import fold_constants
from tinyfleet_codegen.passes.order_nodes import order_nodes
from tinyfleet_codegen.passes.remove_channels import remove_channels

PIPELINE: tuple[Callable[[Graph], Graph], ...] = (fold_constants, drop_dead, remove_channels, order_nodes)
"""Every pass, in the order in which they run."""


def run_passes(graph: Graph) -> Graph:
    """Run the pipeline; the graph is checked after each pass."""
    for rewrite in PIPELINE:
        graph = rewrite(graph)
        check_graph(graph)
    return graph
