"""Placing boxes: sound, never below the bound, and the optimum where the search says so."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfleet_codegen.overlap import ANYWHERE, Overlap
from tinyfleet_codegen.placement import ALIGNMENT, Box, Placement, place_boxes


def is_sound(boxes: Sequence[Box], offsets: Sequence[int]) -> bool:
    """By definition: boxes of one step are apart, or one lies over the other as it may."""
    for (i, a), (j, b) in itertools.combinations(enumerate(boxes), 2):
        is_apart = offsets[i] + a.bytes <= offsets[j] or offsets[j] + b.bytes <= offsets[i]
        may_overlap = (j in a.over and a.over[j].allows(offsets[j] - offsets[i])) or (
            i in b.over and b.over[i].allows(offsets[i] - offsets[j])
        )
        if a.first <= b.last and b.first <= a.last and not (is_apart or may_overlap):
            return False
    return True


def smallest_end(boxes: Sequence[Box], limit: int) -> int:
    """Try every placement below a limit, in steps of the alignment."""
    best = limit
    chosen: list[int] = []

    def place(position: int) -> None:
        nonlocal best
        if position == len(boxes):
            best = min(best, max(o + b.bytes for o, b in zip(chosen, boxes, strict=True)))
            return
        for offset in range(0, best - boxes[position].bytes + 1, ALIGNMENT):
            chosen.append(offset)
            if is_sound(boxes[: position + 1], chosen):
                place(position + 1)
            chosen.pop()

    place(0)
    return best


@st.composite
def chains(draw: st.DrawFn, *, most: int, with_steps: bool = True) -> list[Box]:
    """Boxes over a few steps; some may lie over boxes that die when they begin."""
    spans = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=most))
    plain = [Box(16 * size, first, first + length) for size, first, length in spans]
    kinds = [None, ANYWHERE, *(Overlap(lead_bytes=n) for n in (-20, 0, 7, 16, 40)), *([Overlap(step_bytes=48)] if with_steps else [])]
    boxes = []
    for i, box in enumerate(plain):
        dying = [j for j, other in enumerate(plain) if j != i and other.last == box.first and other.first < box.first]
        over = {j: overlap for j in dying if (overlap := draw(st.sampled_from(kinds))) is not None}
        boxes.append(Box(box.bytes, box.first, box.last, over))
    return boxes


def check(boxes: Sequence[Box], placement: Placement) -> None:
    assert is_sound(boxes, placement.offsets)
    assert all(offset % ALIGNMENT == 0 and offset >= 0 for offset in placement.offsets)
    assert placement.bytes == max(o + b.bytes for o, b in zip(placement.offsets, boxes, strict=True))
    assert placement.lower_bound_bytes <= placement.bytes


@settings(deadline=None, max_examples=300)
@given(chains(most=14))
def test_random_boxes_are_placed_soundly(boxes: list[Box]) -> None:
    check(boxes, place_boxes(boxes, search_nodes=200))


@settings(deadline=None, max_examples=80)
@given(chains(most=5))
def test_small_problems_are_solved_to_the_optimum(boxes: list[Box]) -> None:
    placement = place_boxes(boxes)
    check(boxes, placement)
    best = smallest_end(boxes, placement.bytes)
    assert placement.lower_bound_bytes <= best
    if not any(o.step_bytes not in (None, 1) for box in boxes for o in box.over.values()):
        assert placement.bytes == best == placement.lower_bound_bytes


def test_the_search_beats_every_greedy_order() -> None:
    # Big things live at both ends of time, so that each greedy order leaves a gap somewhere.
    boxes = [Box(32, 0, 1), Box(48, 1, 2), Box(16, 0, 2), Box(32, 2, 3), Box(64, 3, 3), Box(16, 1, 3)]
    placement = place_boxes(boxes)
    check(boxes, placement)
    assert placement.bytes == smallest_end(boxes, placement.bytes)


def test_no_boxes_need_no_memory() -> None:
    assert place_boxes([]) == Placement((), 0, 0)
