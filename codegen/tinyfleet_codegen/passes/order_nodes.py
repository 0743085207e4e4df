"""Run nodes in the order that needs the least memory at once.

The same for every CPU class, so that layers compare between targets: scratch memory does not count.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace

from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.overlap import Overlap
from tinyfleet_codegen.placement import aligned, shared_bytes
from tinyfleet_codegen.plan import MAX_OVERLAPPING_BYTES, plan_arena

MAX_STATES = 3000
"""Sets of finished nodes that the search looks at; bounds the compile time."""


def order_nodes(graph: Graph) -> Graph:
    """Reorder when that makes the arena smaller; a graph of states keeps its order, which they depend on."""
    if graph.states:
        return graph
    order = _Search(graph).run()
    if order is None or order == tuple(range(len(graph.nodes))):
        return graph
    reordered = replace(graph, nodes=tuple(graph.nodes[i] for i in order))
    is_smaller = plan_arena(reordered, HOST_CLASS).arena_bytes < plan_arena(graph, HOST_CLASS).arena_bytes
    return reordered if is_smaller else graph


class _Search:
    """Best first over sets of finished nodes, as bits: the least peak, of equals the most done, then the first in the file."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        count = len(graph.nodes)
        root = {i: i for i in graph.inputs}
        producer: dict[int, int] = {}
        self._wanted = [0] * count
        self._readers: dict[int, int] = dict.fromkeys(graph.inputs, 0)
        self._bytes: dict[int, int] = {i: aligned(graph.tensors[i].bytes) for i in graph.inputs}
        self._made: list[int | None] = [None] * count
        for i, node in enumerate(graph.nodes):
            for tensor in self._inputs(i):
                self._readers[root[tensor]] |= 1 << i
                if tensor in producer:
                    self._wanted[i] |= 1 << producer[tensor]
            output, first = node.outputs[0], node.inputs[0] if node.inputs else None
            producer[output] = i
            is_alias = first in root and node.op.aliases_input(graph, node)
            root[output] = root[first] if is_alias and first is not None else output
            if root[output] == output:
                self._made[i] = output
                self._readers[output] = 0
                self._bytes[output] = aligned(graph.tensors[output].bytes)
        self._root, self._kept = root, {root[i] for i in graph.results}
        self._overlaps = [dict(self._overlaps_of(i)) for i in range(count)]

    def run(self) -> tuple[int, ...] | None:
        """The order; None when the limit was met first."""
        count = len(self._graph.nodes)
        queue: list[tuple[int, int, tuple[int, ...], int]] = [(0, 0, (), 0)]
        seen: set[int] = set()
        while queue and len(seen) < MAX_STATES:
            peak, _, order, done = heapq.heappop(queue)
            if len(order) == count:
                return order
            if done in seen:
                continue
            seen.add(done)
            live = [t for t in self._bytes if self._is_made(t, done) and self._is_wanted(t, done)]
            for i in range(count):
                if not done >> i & 1 and self._wanted[i] & ~done == 0:
                    cost = max(peak, self._cost(i, live, done | 1 << i))
                    heapq.heappush(queue, (cost, -len(order) - 1, (*order, i), done | 1 << i))
        return None

    def _inputs(self, i: int) -> Iterator[int]:
        node = self._graph.nodes[i]
        return (t for t in node.inputs if t is not None and self._graph.tensors[t].data is None)

    def _overlaps_of(self, i: int) -> Iterator[tuple[int, Overlap]]:
        """How the node's output may lie over inputs of which it is the last reader."""
        node = self._graph.nodes[i]
        if self._graph.output_tensor(node).bytes > MAX_OVERLAPPING_BYTES:
            return
        for position, tensor in enumerate(node.inputs):
            if tensor in self._root and tensor is not None and self._graph.tensors[tensor].bytes <= MAX_OVERLAPPING_BYTES:
                overlap = node.op.output_overlap(self._graph, node, position)
                if overlap is not None:
                    yield self._root[tensor], overlap

    def _is_made(self, tensor: int, done: int) -> bool:
        return tensor in self._graph.inputs or any(done >> i & 1 for i, made in enumerate(self._made) if made == tensor)

    def _is_wanted(self, tensor: int, done: int) -> bool:
        return tensor in self._kept or self._readers[tensor] & ~done != 0

    def _cost(self, i: int, live: list[int], after: int) -> int:
        """What is in memory while a node runs."""
        made = self._made[i]
        total = sum(self._bytes[t] for t in live)
        if made is None:
            return total
        size = self._bytes[made]
        dying = [t for t in live if not self._is_wanted(t, after)]
        shared = sum(shared_bytes(size, self._bytes[t], self._overlaps[i][t]) for t in dying if t in self._overlaps[i])
        return total + size - min(size, shared)
