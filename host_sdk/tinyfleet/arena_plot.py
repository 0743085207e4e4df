"""Where each activation lies: a picture of the arena as SVG text; colours are classes of ``page.css``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tinyfleet_codegen.compiled import CompiledModel

WIDTH = 760
_LEFT, _RIGHT, _TOP, _HEIGHT, _BOTTOM = 76, 12, 10, 260, 74
_SHORT = {
    "FULLY_CONNECTED": "dense",
    "CONV_2D": "conv",
    "TRANSPOSE_CONV": "deconv",
    "MAX_POOL_2D": "max pool",
    "DEPTHWISE_CONV_2D": "depthwise",
    "AVERAGE_POOL_2D": "avg pool",
}


@dataclass(frozen=True, slots=True)
class ArenaPlace:
    """One place in the arena; ``first_layer`` is -1 for what is there before the first layer."""

    name: str
    offset: int
    bytes: int
    first_layer: int
    last_layer: int
    is_scratch: bool


def arena_places(model: CompiledModel) -> list[ArenaPlace]:
    """The plan of a model, tensors in the order in which they are made, then scratch memory."""
    places = []
    for place in model.plan.allocations:
        is_scratch = not place.tensors
        name = f"scratch of {model.layers[place.first].label}" if is_scratch else model.graph.tensors[place.tensors[0]].name.split(";")[0]
        places.append(ArenaPlace(name, model.plan.stacked(place.offset), place.bytes, place.first, place.last, is_scratch))
    return places


def short_op(op: str) -> str:
    """A name for an axis."""
    return _SHORT.get(op, op.lower().replace("_", " "))


def draw_arena(places: Sequence[ArenaPlace], labels: Sequence[str], arena_bytes: int, lower_bound_bytes: int) -> str:
    """Memory upwards, layers to the right; what lies over a place that it uses up is drawn over it.

    Args:
        labels: One for each layer.
    """
    columns = ["input", *labels, "output"]
    width = (WIDTH - _LEFT - _RIGHT) / len(columns)
    whole = max(1, arena_bytes)

    def x(layer: int) -> float:
        return _LEFT + (layer + 1) * width

    def y(offset: float) -> float:
        return _TOP + _HEIGHT * (1 - offset / whole)

    parts = []
    for share in (0, 0.5, 1):
        at = y(whole * share)
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{whole * share:,.0f} B</text>')
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
    numbers: list[str] = []
    for i, place in enumerate(sorted(places, key=lambda p: (p.first_layer, p.is_scratch))):
        kind = "scratch" if place.is_scratch else f"tensor{i % 2}"
        box_width, box_height = (place.last_layer - place.first_layer + 1) * width - 2, _HEIGHT * place.bytes / whole
        title = f"{place.name}: {place.bytes} bytes at {place.offset}"
        parts.append(
            f'<rect class="{kind}" x="{x(place.first_layer) + 1:.1f}" y="{y(place.offset + place.bytes):.1f}" width="{box_width:.1f}"'
            f' height="{max(box_height, 2):.1f}" rx="2" fill-opacity=".72"><title>{escape(title)}</title></rect>'
        )
        if box_height >= 14 and box_width >= 15 * len(str(place.bytes)):
            middle, at = x(place.first_layer) + 1 + box_width / 2, y(place.offset + place.bytes / 2) + 4
            numbers.append(f'<text x="{middle:.1f}" y="{at:.1f}" class="on" text-anchor="middle">{place.bytes}</text>')
    parts += numbers
    if lower_bound_bytes < arena_bytes:
        at, end = y(lower_bound_bytes), WIDTH - _RIGHT
        parts.append(f'<line class="bound" x1="{_LEFT}" x2="{end}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="bound" x="{end}" y="{at - 4:.1f}" text-anchor="end">no less than {lower_bound_bytes:,}</text>')
    every = -(-len(columns) // 36)
    for i, label in enumerate(columns):
        if i % every == 0 or i == len(columns) - 1:
            at, base = _LEFT + (i + 0.5) * width, _TOP + _HEIGHT + 12
            parts.append(f'<text x="{at:.1f}" y="{base}" text-anchor="end" transform="rotate(-50 {at:.1f} {base})">{escape(label)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {_TOP + _HEIGHT + _BOTTOM}" role="img">{"".join(parts)}</svg>'
