"""Place every activation in one arena, offline.

Tensors that live at the same time never overlap; a tensor that is another one's bytes (RESHAPE) shares its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.kernels import choose_kernel

ALIGNMENT = 16
"""Every tensor starts at a multiple of this, as wide loads want it."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """One place in the arena.

    Attributes:
        offset, bytes: Where it is; bytes are rounded up to ALIGNMENT.
        first, last: Steps between which it is in use; step -1 is before the first node.
        tensors: Ids of the tensors that share it; empty for a node's scratch memory.
    """

    offset: int
    bytes: int
    first: int
    last: int
    tensors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each tensor lies.

    Attributes:
        arena_bytes: Size of the arena.
        lower_bound_bytes: The most bytes in use at one step; no placement of these lifetimes needs less.
        offsets: Arena offset by tensor id, for every tensor that is not constant.
        scratch: Arena offset by step, for every node that borrows memory.
        allocations: The places, largest first.
    """

    arena_bytes: int
    lower_bound_bytes: int
    offsets: dict[int, int]
    scratch: dict[int, int]
    allocations: tuple[Allocation, ...]


def plan_arena(graph: Graph, cpu_class: str) -> Plan:
    """Greedy placement under several orders; the smallest arena wins (the first of equals, so that bytes repeat).

    Args:
        cpu_class: Whose kernels will run; they ask for scratch memory.
    """
    places = _lifetimes(graph) + _scratch(graph, cpu_class)
    steps = len(graph.nodes)
    bound = max(
        (sum(p.bytes for p in places if p.first <= step <= p.last) for step in range(-1, steps + 1)),
        default=0,
    )
    orders: tuple[Callable[[Allocation], tuple[int, int, tuple[int, ...]]], ...] = (
        lambda p: (-p.bytes, p.first, p.tensors),
        lambda p: (-(p.last - p.first), -p.bytes, p.tensors),
        lambda p: (p.first, -p.bytes, p.tensors),
        lambda p: (-p.bytes * (p.last - p.first + 1), p.first, p.tensors),
    )
    candidates = [_place(sorted(places, key=order)) for order in orders]
    best = min(candidates, key=_size)
    offsets = {tensor: place.offset for place in best for tensor in place.tensors}
    scratch = {place.first: place.offset for place in best if not place.tensors}
    return Plan(_size(best), bound, offsets, scratch, tuple(best))


def _size(places: list[Allocation]) -> int:
    return max((p.offset + p.bytes for p in places), default=0)


def _lifetimes(graph: Graph) -> list[Allocation]:
    """One unplaced allocation (offset 0) per group of tensors that share bytes."""
    root: dict[int, int] = {i: i for i in graph.sources}
    first: dict[int, int] = dict.fromkeys(graph.sources, -1)
    last: dict[int, int] = dict.fromkeys(graph.inputs, -1)
    # A state keeps its place through the whole run and beyond.
    last |= {state.tensor: len(graph.nodes) for state in graph.states}
    places = {state.next: state.tensor for state in graph.states}
    for step, node in enumerate(graph.nodes):
        for tensor in node.inputs:
            if tensor is not None and graph.tensors[tensor].data is None:
                last[root[tensor]] = max(last[root[tensor]], step)
        source = node.inputs[0] if node.inputs else None
        shares = node.op.aliases_input(graph, node) and source in root
        for tensor in node.outputs:
            root[tensor] = root[source] if shares and source is not None else places.get(tensor, tensor)
            first.setdefault(root[tensor], step)
            last.setdefault(root[tensor], step)
            last[root[tensor]] = max(last[root[tensor]], step)
    for tensor in graph.outputs:
        last[root[tensor]] = len(graph.nodes)
    groups: dict[int, list[int]] = {}
    for tensor, group in root.items():
        groups.setdefault(group, []).append(tensor)
    return [
        Allocation(0, -(-max(graph.tensors[t].bytes for t in tensors) // ALIGNMENT) * ALIGNMENT, first[g], last[g], tuple(tensors))
        for g, tensors in groups.items()
    ]


def _scratch(graph: Graph, cpu_class: str) -> list[Allocation]:
    """One unplaced allocation per node that borrows memory, alive during its own step only."""
    kernels = [choose_kernel(graph, node, cpu_class) for node in graph.nodes]
    wanted = [0 if kernel is None else kernel.scratch_bytes(graph, node) for kernel, node in zip(kernels, graph.nodes, strict=True)]
    return [Allocation(0, -(-count // ALIGNMENT) * ALIGNMENT, step, step, ()) for step, count in enumerate(wanted) if count]


def _place(places: list[Allocation]) -> list[Allocation]:
    """Each at the lowest offset that is free for its whole life."""
    placed: list[Allocation] = []
    for place in places:
        offset = 0
        for other in sorted((o for o in placed if o.first <= place.last and place.first <= o.last), key=lambda o: o.offset):
            if offset + place.bytes <= other.offset:
                break
            offset = max(offset, other.offset + other.bytes)
        placed.append(Allocation(offset, place.bytes, place.first, place.last, place.tensors))
    return placed
