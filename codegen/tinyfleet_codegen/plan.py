"""Place every activation in one arena, offline.

Tensors that live at the same time never overlap, with two exceptions: a tensor that is another one's bytes (RESHAPE) shares its
place, and what a node writes may lie over an input that it is the last to read, as far as its kernel allows
(:mod:`tinyfleet_codegen.overlap`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels import choose_kernel
from tinyfleet_codegen.op import Op
from tinyfleet_codegen.overlap import Overlap
from tinyfleet_codegen.placement import Box, aligned, place_boxes

MAX_OVERLAPPING_BYTES = 1 << 22
"""Larger tensors are kept apart: no microcontroller has room for them, and looking at each byte would take memory here."""
PART_SPAN = 1 << 28
"""Offsets of part i of an arena that lies in several memories begin at i times this."""
TRIAL_NODES = 100
"""Search limit while the tensors of a memory are chosen; the placement of those chosen has the full one."""


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
class Part:
    """What of the arena lies in one memory.

    Attributes:
        memory: Its position among the board's memories.
        bytes: Size of the part.
    """

    memory: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each tensor lies.

    Attributes:
        lower_bound_bytes: No placement of these lifetimes needs less.
        offsets: Arena offset by tensor id, for every tensor that is not constant.
        scratch: Arena offset by step, for every node that borrows memory.
        allocations: The places: tensors in the order in which they are made, then scratch memory.
        parts: The first is the arena that the program gives; inputs, outputs and states lie there. Others are the model's own.
    """

    lower_bound_bytes: int
    offsets: dict[int, int]
    scratch: dict[int, int]
    allocations: tuple[Allocation, ...]
    parts: tuple[Part, ...]

    @property
    def arena_bytes(self) -> int:
        """Size of the arena, all parts together."""
        return sum(part.bytes for part in self.parts)

    def split(self, offset: int) -> tuple[int, int]:
        """The part that an offset is in, and where in it."""
        return divmod(offset, PART_SPAN)

    def stacked(self, offset: int) -> int:
        """The offset when all parts lie one upon the other, as in a picture."""
        part, within = self.split(offset)
        return sum(p.bytes for p in self.parts[:part]) + within


def plan_arena(graph: Graph, cpu_class: str) -> Plan:
    """Plan the arena; the same graph gives the same plan.

    Args:
        cpu_class: Whose kernels will run; they ask for scratch memory and say what may overlap.
    """
    lifetimes = _Lifetimes(graph, cpu_class)
    placement = place_boxes(lifetimes.boxes)
    return _plan(lifetimes, placement.offsets, placement.lower_bound_bytes, (Part(0, placement.bytes),))


def plan_memories(graph: Graph, cpu_class: str, free_bytes: Sequence[int], *, is_whole: bool = False) -> Plan:
    """Plan the arena over several memories: all in the first if it fits, else what is used most for its size in the faster ones.

    Args:
        cpu_class: As for :func:`plan_arena`.
        free_bytes: Of each memory, fastest first. The last takes what is left, whether it fits or not.
        is_whole: The arena must lie in one memory, as that of a blob does.
    """
    whole = plan_arena(graph, cpu_class)
    fitting = [i for i, free in enumerate(free_bytes) if whole.arena_bytes <= free]
    if fitting[:1] == [0] or is_whole or len(free_bytes) == 1:
        largest = max(range(len(free_bytes)), key=lambda i: free_bytes[i])
        return replace(whole, parts=(Part((fitting or [largest])[0], whole.arena_bytes),))
    lifetimes = _Lifetimes(graph, cpu_class)
    groups = _groups(lifetimes, free_bytes)
    pinned = lifetimes.pinned()
    # The part that the program gives comes first, then those in order that hold something.
    order = sorted((i for i, group in enumerate(groups) if group), key=lambda i: (not groups[i] >= pinned, i))
    offsets = [0] * len(lifetimes.boxes)
    parts: list[Part] = []
    for i in order:
        chosen = sorted(groups[i])
        placement = place_boxes(_among(lifetimes.boxes, chosen))
        for position, offset in zip(chosen, placement.offsets, strict=True):
            offsets[position] = len(parts) * PART_SPAN + offset
        parts.append(Part(i, placement.bytes))
    return _plan(lifetimes, offsets, whole.lower_bound_bytes, tuple(parts))


def _groups(lifetimes: _Lifetimes, free_bytes: Sequence[int]) -> list[set[int]]:
    """The boxes of each memory; those that the program must find are in one."""
    boxes, pinned = lifetimes.boxes, lifetimes.pinned()

    def fits(group: Iterable[int], free: int) -> bool:
        return place_boxes(_among(boxes, sorted(group)), search_nodes=TRIAL_NODES).bytes <= free

    last = len(free_bytes) - 1
    home = next((i for i, free in enumerate(free_bytes) if fits(pinned, free)), last)
    heat = lifetimes.heat()
    left = sorted(set(range(len(boxes))) - pinned, key=lambda i: (-heat[i] / boxes[i].bytes, i))
    groups = []
    for i, free in enumerate(free_bytes):
        group = set(pinned) if i == home else set()
        for box in left:
            if i == last or fits({*group, box}, free):
                group.add(box)
        left = [box for box in left if box not in group]
        groups.append(group)
    return groups


def _among(boxes: Sequence[Box], chosen: Sequence[int]) -> list[Box]:
    """Some of the boxes, with what they may lie over among those."""
    positions = {box: position for position, box in enumerate(chosen)}
    return [replace(boxes[i], over={positions[j]: overlap for j, overlap in boxes[i].over.items() if j in positions}) for i in chosen]


def _plan(lifetimes: _Lifetimes, placed: Sequence[int], bound: int, parts: tuple[Part, ...]) -> Plan:
    places = tuple(
        Allocation(offset, box.bytes, box.first, box.last, tensors)
        for offset, box, tensors in zip(placed, lifetimes.boxes, lifetimes.tensors, strict=True)
    )
    offsets = {tensor: place.offset for place in places for tensor in place.tensors}
    scratch = {place.first: place.offset for place in places if not place.tensors}
    return Plan(bound, offsets, scratch, places, parts)


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

    def pinned(self) -> set[int]:
        """Boxes that the program looks into: inputs, outputs and states."""
        asked = {*self._graph.sources, *self._graph.results}
        return {i for i, tensors in enumerate(self.tensors) if asked.intersection(tensors)}

    def heat(self) -> list[int]:
        """About how many bytes are read and written in each box; borrowed memory feeds every multiplication."""
        heat = [0] * len(self.boxes)
        for step, node in enumerate(self._graph.nodes):
            macs = node.op.macs(self._graph, node)
            for tensor in (*node.inputs, *node.outputs):
                if tensor is not None and self._graph.tensors[tensor].data is None:
                    count = self._graph.tensors[tensor].bytes
                    # Each output channel of a convolution has the same windows, which are fetched once.
                    again = macs // self._graph.output_tensor(node).shape[-1] if tensor in node.inputs else 0
                    heat[self._positions[self._root[tensor]]] += max(count, again)
            for i, box in enumerate(self.boxes):
                if not self.tensors[i] and box.first == step:
                    heat[i] += max(box.bytes, macs)
        return heat

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
