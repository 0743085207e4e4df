"""A profile as one HTML file without anything from elsewhere."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from html import escape

from tinyfleet.arena_plot import WIDTH, draw_arena, short_op
from tinyfleet.profile.profiling import LayerProfile, ModelProfile

_ROW, _NAME, _VALUE = 19, 172, 168
_FUNCTIONS = 16


def render_profile(profile: ModelProfile) -> str:
    """The page's text; the same profile gives the same page."""
    style = importlib.resources.files("tinyfleet").joinpath("page.css").read_text(encoding="utf-8")
    flash = profile.flash
    tiles = [
        (f"{profile.instructions:,}", "instructions per inference"),
        (_per_mac(profile.instructions, profile.macs), f"per multiply-accumulate, of {profile.macs:,}"),
        (f"{profile.flash_bytes:,} B", f"flash: weights {flash.weights_bytes:,}, tables {flash.tables_bytes:,}, code {flash.code_bytes:,}"),
        (f"{profile.ram_bytes:,} B", f"RAM: arena {profile.arena_bytes:,}, variables {profile.static_bytes}, stack {profile.stack_bytes}"),
        (f"{profile.stack_bound_bytes:,} B", f"of stack at most, {profile.model_stack_bound_bytes} in the model"),
        (f"{profile.startup_instructions:,}", "instructions to start"),
    ]
    body = [
        f"<h1>{escape(profile.name)} on {escape(profile.board)}</h1>",
        f"<p>model <code>{escape(profile.model_id[:16])}</code></p>",
        '<div class="tiles">' + "".join(f'<div class="tile"><b>{escape(v)}</b><span>{escape(n)}</span></div>' for v, n in tiles) + "</div>",
        _section(
            "Instructions",
            "Executed in each layer, counted by the emulator; they are no cycles. At the right: share, and per multiply-accumulate.",
            _instructions_plot(profile),
        ),
        _section("Arena", _arena_text(profile), _arena(profile)),
        _section("Flash by layer", "Weights, and what there is per channel.", _flash_plot(profile.layers)),
        _section("Code", f"The largest functions of {flash.code_bytes:,} bytes.", _functions_plot(profile)),
        _section("Layers", "", _table(profile.layers)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(profile.name)} on {escape(profile.board)}</title><style>{style}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _per_mac(instructions: int, macs: int) -> str:
    return f"{instructions / macs:.2f}" if macs else "-"


def _label(layer: LayerProfile) -> str:
    return f"{layer.op_index} {short_op(layer.op)}"


def _instructions_plot(profile: ModelProfile) -> str:
    total = max(1, sum(layer.instructions for layer in profile.layers))
    return _bars(
        [
            (
                f"{_label(layer)} {'x'.join(str(d) for d in layer.output_shape[1:])}",
                [("tensor0", layer.instructions)],
                f"{layer.instructions:,} ({layer.instructions / total:.1%})"
                + (f" {layer.instructions_per_mac:.2f}" if layer.instructions_per_mac is not None else ""),
            )
            for layer in profile.layers
        ]
    )


def _flash_plot(layers: Sequence[LayerProfile]) -> str:
    rows = [
        (
            _label(layer),
            [("tensor0", layer.weights_bytes), ("tensor1", layer.tables_bytes)],
            f"{layer.weights_bytes:,} + {layer.tables_bytes:,}",
        )
        for layer in layers
        if layer.weights_bytes + layer.tables_bytes
    ]
    return _bars(rows)


def _functions_plot(profile: ModelProfile) -> str:
    return _bars([(f.name, [("scratch", f.bytes)], f"{f.bytes:,}") for f in profile.functions[:_FUNCTIONS]])


def _bars(rows: Sequence[tuple[str, list[tuple[str, int]], str]]) -> str:
    """One row a bar: name, parts of the bar with their colours, value as text."""
    longest = max((sum(count for _, count in parts) for _, parts, _ in rows), default=0)
    scale = (WIDTH - _NAME - _VALUE) / max(1, longest)
    drawn = []
    for i, (name, parts, value) in enumerate(rows):
        top, x = i * _ROW, float(_NAME)
        shown = name if len(name) <= 27 else f"{name[:26]}…"
        drawn.append(f'<text x="{_NAME - 6}" y="{top + 14}" text-anchor="end">{escape(shown)}<title>{escape(name)}</title></text>')
        for css, count in parts:
            drawn.append(f'<rect class="{css}" x="{x:.1f}" y="{top + 3}" width="{count * scale:.1f}" height="{_ROW - 5}"/>')
            x += count * scale
        drawn.append(f'<text x="{x + 6:.1f}" y="{top + 14}">{escape(value)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {max(1, len(rows)) * _ROW + 4}" role="img">{"".join(drawn)}</svg>'


def _arena_text(profile: ModelProfile) -> str:
    beyond = profile.arena_bytes - profile.arena_lower_bound_bytes
    distance = "no placement of these lifetimes needs less"
    if beyond:
        distance = f"{beyond:,} above what no placement of these lifetimes can go below"
    return (
        f"{profile.arena_bytes:,} bytes, {distance}. Memory upwards, layers to the right; grey is what one layer borrows."
        " An output may lie over an input that it uses up."
    )


def _arena(profile: ModelProfile) -> str:
    return draw_arena(profile.arena, [_label(layer) for layer in profile.layers], profile.arena_bytes, profile.arena_lower_bound_bytes)


def _table(layers: Sequence[LayerProfile]) -> str:
    head = ["op", "kernel", "output", "MACs", "instructions", "per MAC", "weights", "tables"]
    rows = [
        [
            f"{layer.op_index} {layer.op}",
            layer.kernel.removeprefix("tyf_") or "-",
            "x".join(str(d) for d in layer.output_shape),
            f"{layer.macs:,}",
            f"{layer.instructions:,}",
            "" if layer.instructions_per_mac is None else f"{layer.instructions_per_mac:.2f}",
            f"{layer.weights_bytes:,}",
            f"{layer.tables_bytes:,}",
        ]
        for layer in layers
    ]

    def line(tag: str, cells: list[str]) -> str:
        return "<tr>" + "".join(f"<{tag}{' class=n' if i > 2 else ''}>{escape(cell)}</{tag}>" for i, cell in enumerate(cells)) + "</tr>"

    return f"<table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"


def _section(title: str, text: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>{content}</section>"
