"""Place every activation in one arena, offline.

Tensors that live at the same time never overlap, with two exceptions: a tensor that is another one's bytes (RESHAPE) shares its
place, and what a node writes may lie over an input that it is the last to read, as far as its kernel allows
(:mod:`tinyfleet_codegen.overlap`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels import choose_kernel
from tinyfleet_codegen.op import Op
from tinyfleet_codegen.overlap import Overlap
from tinyfleet_codegen.placement import Box, aligned, place_boxes

MAX_OVERLAPPING_BYTES = 1 << 22
"""Larger tensors are kept apart: no microcontroller has room for them, and looking at each byte would take memory here."""


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
        lower_bound_bytes: No placement of these lifetimes needs less.
        offsets: Arena offset by tensor id, for every tensor that is not constant.
        scratch: Arena offset by step, for every node that borrows memory.
        allocations: The places: tensors in the order in which they are made, then scratch memory.
    """

    arena_bytes: int
    lower_bound_bytes: int
    offsets: dict[int, int]
    scratch: dict[int, int]
    allocations: tuple[Allocation, ...]


def plan_arena(graph: Graph, cpu_class: str) -> Plan:
    """Plan the arena; the same graph gives the same plan.

    Args:
        cpu_class: Whose kernels will run; they ask for scratch memory and say what may overlap.
    """
    lifetimes = _Lifetimes(graph, cpu_class)
    placement = place_boxes(lifetimes.boxes)
    places = tuple(
        Allocation(offset, box.bytes, box.first, box.last, tensors)
        for offset, box, tensors in zip(placement.offsets, lifetimes.boxes, lifetimes.tensors, strict=True)
    )
    offsets = {tensor: place.offset for place in places for tensor in place.tensors}
    scratch = {place.first: place.offset for place in places if not place.tensors}
    return Plan(placement.bytes, placement.lower_bound_bytes, offsets, scratch, places)


def fullest_step(plan: Plan, steps: int) -> int:
    """The first step at which no other one covers more of the arena; -1 is before the first node."""
    return max(range(-1, steps), key=lambda step: covered_bytes([a for a in plan.allocations if a.first <= step <= a.last]))


def covered_bytes(places: Sequence[Allocation]) -> int:
    """Bytes of the arena that some places take; those that two share count once."""
    end = covered = 0
    for place in sorted(places, key=lambda a: a.offset):
        covered += max(0, place.offset + place.bytes - max(end, place.offset))
        end = max(end, place.offset + place.bytes)
    return covered


class _Lifetimes:
    """A box for each group of tensors that share bytes, and for each node that borrows memory.

    Attributes:
        boxes: What has to be placed.
        tensors: For each box the tensors in it; none for borrowed memory.
    """

    def __init__(self, graph: Graph, cpu_class: str) -> None:
        self._graph = graph
        self._kernels = [choose_kernel(graph, node, cpu_class) for node in graph.nodes]
        self._root: dict[int, int] = {i: i for i in graph.sources}
        self._first: dict[int, int] = dict.fromkeys(graph.sources, -1)
        self._last: dict[int, int] = dict.fromkeys(graph.inputs, -1)
        # A state keeps its place through the whole run and beyond.
        self._last |= {state.tensor: len(graph.nodes) for state in graph.states}
        self._states = {state.next: state.tensor for state in graph.states}
        for step, node in enumerate(graph.nodes):
            self._run(step, node)
        for tensor in graph.outputs:
            self._last[self._root[tensor]] = len(graph.nodes)
        groups: dict[int, list[int]] = {}
        for tensor, group in self._root.items():
            groups.setdefault(group, []).append(tensor)
        self._positions = {group: position for position, group in enumerate(groups)}
        self.tensors = [tuple(tensors) for tensors in groups.values()]
        self.boxes = [self._tensor_box(group, tensors) for group, tensors in groups.items()]
        for step, kernel in enumerate(self._kernels):
            count = 0 if kernel is None else kernel.scratch_bytes(graph, graph.nodes[step])
            if count:
                self.boxes.append(Box(aligned(count), step, step, self._over(step, is_scratch=True)))
                self.tensors.append(())

    def _run(self, step: int, node: Node) -> None:
        """Note what a node reads and makes."""
        for tensor in node.inputs:
            if tensor is not None and self._graph.tensors[tensor].data is None:
                self._use(self._root[tensor], step)
        source = node.inputs[0] if node.inputs else None
        shares = node.op.aliases_input(self._graph, node) and source in self._root
        for tensor in node.outputs:
            self._root[tensor] = self._root[source] if shares and source is not None else self._states.get(tensor, tensor)
            self._first.setdefault(self._root[tensor], step)
            self._use(self._root[tensor], step)

    def _use(self, group: int, step: int) -> None:
        self._last[group] = max(self._last.get(group, step), step)

    def _tensor_box(self, group: int, tensors: list[int]) -> Box:
        size = max(self._graph.tensors[t].bytes for t in tensors)
        first = self._first[group]
        # Only a node's first output may lie over an input; the others would have to say so themselves.
        is_first_output = first >= 0 and self._graph.nodes[first].outputs[0] == group
        return Box(aligned(size), first, self._last[group], self._over(first, is_scratch=False) if is_first_output else {})

    def _over(self, step: int, *, is_scratch: bool) -> dict[int, Overlap]:
        """The boxes that die in a step, each with how what the step writes may lie over it."""
        node = self._graph.nodes[step]
        runner = self._kernels[step] or node.op
        found: dict[int, Overlap | None] = {}
        for position, tensor in enumerate(node.inputs):
            if tensor is None or self._graph.tensors[tensor].data is not None or self._last[self._root[tensor]] != step:
                continue
            if max(self._graph.tensors[t].bytes for t in (tensor, node.outputs[0])) > MAX_OVERLAPPING_BYTES:
                continue
            if not is_scratch:
                overlap = runner.output_overlap(self._graph, node, position)
            else:
                overlap = None if isinstance(runner, Op) else runner.scratch_overlap(self._graph, node, position)
            box = self._positions[self._root[tensor]]
            found[box] = _both(found[box], overlap) if box in found else overlap
        return {box: overlap for box, overlap in found.items() if overlap is not None}


def _both(a: Overlap | None, b: Overlap | None) -> Overlap | None:
    """What two inputs allow that are one tensor."""
    if a is None or b is None:
        return None
    if a.step_bytes is not None and b.step_bytes is not None:
        return Overlap(step_bytes=math.lcm(a.step_bytes, b.step_bytes))
    if a.lead_bytes is not None and b.lead_bytes is not None:
        return Overlap(lead_bytes=max(a.lead_bytes, b.lead_bytes))
    return None
