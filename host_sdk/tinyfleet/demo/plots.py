"""The report's pictures as SVG text; colours are CSS variables of the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from tinyfleet.arena_plot import WIDTH, arena_places, draw_arena, short_op
from tinyfleet_codegen.compiled import CompiledModel


def arena_plot(model: CompiledModel) -> str:
    """Where each activation lies: memory upwards, layers to the right."""
    plan = model.plan
    return draw_arena(arena_places(model), [short_op(layer.op) for layer in model.layers], plan.arena_bytes, plan.lower_bound_bytes)


def confusion_plot(confusion: npt.NDArray[np.int64], labels: Sequence[str]) -> str:
    """Rows are the true classes; the darker, the larger the share of the row."""
    cell, left, top = 52, 70, 30
    parts = [f'<text x="{left + cell * len(labels) / 2}" y="12" text-anchor="middle">what the model says</text>']
    for row, name in enumerate(labels):
        parts.append(f'<text x="{left - 8}" y="{top + (row + 0.5) * cell + 4}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<text x="{left + (row + 0.5) * cell}" y="{top - 4}" text-anchor="middle">{escape(name)}</text>')
        for column in range(len(labels)):
            count = int(confusion[row, column])
            share = count / max(1, int(confusion[row].sum()))
            kind = "right" if row == column else "wrong"
            x, y = left + column * cell, top + row * cell
            box = f'x="{x}" y="{y}" width="{cell - 2}" height="{cell - 2}" rx="3"'
            parts.append(f'<rect class="{kind}" style="fill-opacity:{max(share, 0.04):.2f}" {box}/>')
            if count:
                css = ' class="on"' if share > 0.5 else ""
                parts.append(f'<text x="{x + cell / 2 - 1}" y="{y + cell / 2 + 4}"{css} text-anchor="middle">{count}</text>')
    return _svg(top + cell * len(labels) + 6, parts)


def timeline_plot(depths: Sequence[tuple[float, int]], events: Sequence[tuple[float, str]]) -> str:
    """Records waiting in the gateway's outbox over time, with what happened."""
    left, top, height = 50, 64, 170
    end_s = max([t for t, _ in depths] + [t for t, _ in events] + [1.0])
    begin_s = min([t for t, _ in depths] + [t for t, _ in events], default=0.0)
    largest = max([d for _, d in depths] + [1])

    def x(t: float) -> float:
        return left + (WIDTH - left - 20) * (t - begin_s) / max(end_s - begin_s, 1e-6)

    def y(depth: float) -> float:
        return top + height * (1 - depth / largest)

    parts = []
    for depth in sorted({0, largest // 2, largest}):
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - 20}" y1="{y(depth):.1f}" y2="{y(depth):.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y(depth) + 4:.1f}" text-anchor="end">{depth}</text>')
    # A step line: the depth holds until the next sample.
    path = "".join(
        f"{'L' if i else 'M'}{x(t):.1f},{y(depths[max(i - 1, 0)][1]):.1f}L{x(t):.1f},{y(d):.1f}" for i, (t, d) in enumerate(depths)
    )
    if path:
        area = f"{path}L{x(depths[-1][0]):.1f},{y(0):.1f}L{x(depths[0][0]):.1f},{y(0):.1f}Z"
        parts.append(f'<path class="area" d="{area}"/><path class="line" d="{path}"/>')
    for i, (t, event) in enumerate(events):
        css = "kill" if "killed" in event else "event"
        level = 12 + 15 * (i % 3)
        anchor = "end" if x(t) > WIDTH - 140 else "start"
        offset = -4 if anchor == "end" else 4
        parts.append(f'<line class="{css}" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{level - 9}" y2="{top + height}"/>')
        parts.append(f'<text class="{css}" x="{x(t) + offset:.1f}" y="{level}" text-anchor="{anchor}">{escape(event)}</text>')
    parts.append(f'<text x="{left}" y="{top + height + 18}">{begin_s:.0f} s</text>')
    parts.append(f'<text x="{WIDTH - 20}" y="{top + height + 18}" text-anchor="end">{end_s:.0f} s</text>')
    return _svg(top + height + 26, parts)


def _svg(height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'
