"""Put boxes of known lifetimes into the smallest memory: several greedy orders, then a search with a node limit. Deterministic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tinyfleet_codegen.overlap import Overlap

ALIGNMENT = 16
"""Every box starts at a multiple of this, as wide loads want it."""
REPAIRS = 16
"""How often each greedy order is repaired by moving what ended highest to the front."""
SEARCH_NODES = 4000
"""Placements that the search tries; bounds the compile time."""


@dataclass(frozen=True, slots=True)
class Box:
    """Memory that is in use from step ``first`` to step ``last``; its bytes are a multiple of ALIGNMENT.

    Attributes:
        over: How this box may lie over others, by their position in the list: what a step writes over what it reads last.
    """

    bytes: int
    first: int
    last: int
    over: Mapping[int, Overlap] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placement:
    """Offsets by position in the list of boxes.

    Attributes:
        bytes: End of the highest box.
        lower_bound_bytes: No placement of these boxes needs less.
    """

    offsets: tuple[int, ...]
    bytes: int
    lower_bound_bytes: int


def place_boxes(boxes: Sequence[Box], *, search_nodes: int = SEARCH_NODES) -> Placement:
    """Place so that boxes which are in use at one step share no byte, unless ``over`` allows it.

    Args:
        search_nodes: Limit of the search that runs when no greedy order reaches the lower bound.
    """
    packer = _Packer(boxes)
    bound = lower_bound(boxes)
    best: list[int] = []
    for order in packer.greedy_orders():
        offsets = packer.place_in_order(order)
        if not best or packer.end(offsets) < packer.end(best):
            best = offsets
        if packer.end(best) == bound:
            break
    if packer.end(best) > bound:
        search = _Search(packer, best, bound, search_nodes)
        search.run()
        best = search.best
        if search.is_exhaustive:
            bound = packer.end(best)
    return Placement(tuple(best), packer.end(best), bound)


def lower_bound(boxes: Sequence[Box]) -> int:
    """The most bytes that the boxes of one step cover, however they lie."""
    steps = sorted({box.first for box in boxes})
    return max((_covered(boxes, step) for step in steps), default=0)


def _covered(boxes: Sequence[Box], step: int) -> int:
    live = {i: box for i, box in enumerate(boxes) if box.first <= step <= box.last}
    under = {i for box in live.values() for i in box.over if i in live}
    shared = 0
    for box in live.values():
        # What lies under one box is apart from each other, so what it shares with each adds up.
        shared += min(box.bytes, sum(shared_bytes(box.bytes, live[i].bytes, overlap) for i, overlap in box.over.items() if i in live))
    # What lies over others is apart from each other too.
    return max(sum(box.bytes for box in live.values()) - shared, sum(box.bytes for i, box in live.items() if i not in under))


def shared_bytes(written: int, read: int, overlap: Overlap) -> int:
    """The most bytes that one box can have in common with one that it may lie over."""
    if overlap.step_bytes is not None:
        return min(written, read)
    assert overlap.lead_bytes is not None
    return max(0, min(written, read, written - aligned(overlap.lead_bytes)))


def aligned(count: int) -> int:
    """Rounded up to ALIGNMENT."""
    return -(-count // ALIGNMENT) * ALIGNMENT


class _Packer:
    """Where a box can go, given those that are placed.

    ``_apart[i][j]`` is the least ``offset[j] - offset[i]`` with which i may lie below j; ``_steps[i][j]`` divides it otherwise.
    """

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.boxes = boxes
        self._apart: list[dict[int, int]] = [{} for _ in boxes]
        self._steps: list[dict[int, int]] = [{} for _ in boxes]
        for i, box in enumerate(boxes):
            for j, other in enumerate(boxes):
                if i != j and box.first <= other.last and other.first <= box.last:
                    self._apart[i][j] = box.bytes
        for i, box in enumerate(boxes):
            for j, overlap in box.over.items():
                if overlap.step_bytes is not None and ALIGNMENT % overlap.step_bytes == 0:
                    del self._apart[i][j], self._apart[j][i]
                    continue
                if overlap.lead_bytes is not None:
                    self._apart[i][j] = min(box.bytes, aligned(overlap.lead_bytes))
                if overlap.step_bytes is not None:
                    self._steps[i][j] = self._steps[j][i] = math.lcm(overlap.step_bytes, ALIGNMENT)

    @property
    def is_monotone(self) -> bool:
        """Whether moving one box down never forces another one up: then trying all orders finds the optimum."""
        return not any(self._steps)

    def end(self, offsets: Sequence[int]) -> int:
        return max((offset + box.bytes for offset, box in zip(offsets, self.boxes, strict=True)), default=0)

    def lowest(self, i: int, placed: Mapping[int, int], floor: int = 0) -> int:
        """The lowest offset from ``floor`` on at which box i fits among those placed."""
        offset = floor
        neighbours = [j for j in self._apart[i] if j in placed]
        moved = True
        while moved:
            moved = False
            for j in neighbours:
                distance = placed[j] - offset
                if distance >= self._apart[i][j] or -distance >= self._apart[j][i]:
                    continue
                beyond = placed[j] + self._apart[j][i]
                step = self._steps[i].get(j)
                if step is not None:
                    if distance % step == 0:
                        continue
                    beyond = min(beyond, offset + distance % step)
                offset, moved = beyond, True
        return offset

    def place_in_order(self, order: Sequence[int]) -> list[int]:
        """Offsets when each box in turn goes as low as it can."""
        placed: dict[int, int] = {}
        for i in order:
            placed[i] = self.lowest(i, placed)
        return [placed[i] for i in range(len(self.boxes))]

    def greedy_orders(self) -> Iterator[list[int]]:
        """Orders worth trying, best guesses first."""
        boxes = self.boxes
        keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
            lambda i: (-boxes[i].bytes, boxes[i].first, i),
            lambda i: (-boxes[i].first, -boxes[i].bytes, i),
            lambda i: (-boxes[i].bytes, -boxes[i].first, i),
            lambda i: (boxes[i].first - boxes[i].last, -boxes[i].bytes, i),
            lambda i: (boxes[i].first, -boxes[i].bytes, i),
            lambda i: (-boxes[i].bytes * (boxes[i].last - boxes[i].first + 1), boxes[i].first, i),
        )
        orders = [sorted(range(len(boxes)), key=key) for key in keys]
        yield from orders
        for order in orders:
            # Memory of one step last: it fits into gaps, where it would push larger boxes apart.
            yield from self._repaired(sorted(order, key=lambda i: boxes[i].first == boxes[i].last))

    def _repaired(self, order: list[int]) -> Iterator[list[int]]:
        """Of what outlives a step, the box that ended highest came too late: let it choose first, then again."""
        lasting = [i for i in order if self.boxes[i].first < self.boxes[i].last]
        for _ in range(REPAIRS if lasting else 0):
            yield order
            offsets = self.place_in_order(order)
            highest = max(lasting, key=lambda i: offsets[i] + self.boxes[i].bytes)
            if highest == order[0]:
                return
            order = [highest, *(i for i in order if i != highest)]


class _Search:
    """Depth first over the order of offsets: the next box is never below the one before."""

    def __init__(self, packer: _Packer, best: list[int], bound: int, nodes: int) -> None:
        self.best = best
        self._packer, self._bound, self._nodes = packer, bound, nodes

    @property
    def is_exhaustive(self) -> bool:
        """Whether no better placement can exist."""
        return self._nodes > 0 and self._packer.is_monotone

    def run(self) -> None:
        """Improve ``best`` until the bound is met, all is tried or no nodes are left."""
        count = len(self._packer.boxes)
        # A stack of candidates per level instead of recursion: a model may have a thousand tensors.
        placed: dict[int, int] = {}
        levels = [self._candidates(placed, 0)]
        while levels and self._nodes > 0 and self._packer.end(self.best) > self._bound:
            if not levels[-1]:
                levels.pop()
                if placed:
                    placed.popitem()
                continue
            offset, i = levels[-1].pop(0)
            self._nodes -= 1
            placed[i] = offset
            if len(placed) == count:
                offsets = [placed[i] for i in range(count)]
                if self._packer.end(offsets) < self._packer.end(self.best):
                    self.best = offsets
                placed.popitem()
                continue
            levels.append(self._candidates(placed, offset))

    def _candidates(self, placed: Mapping[int, int], floor: int) -> list[tuple[int, int]]:
        """Boxes that may come next with their offsets; none when one of the rest cannot end below the best."""
        limit = self._packer.end(self.best)
        found = []
        for i, box in enumerate(self._packer.boxes):
            if i not in placed:
                offset = self._packer.lowest(i, placed, floor)
                if offset + box.bytes >= limit:
                    return []
                found.append((offset, i))
        # Larger boxes first among equals: they decide most.
        return sorted(found, key=lambda c: (c[0], -self._packer.boxes[c[1]].bytes, c[1]))
