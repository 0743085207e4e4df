"""The tables and the picture of ``docs/guides/benchmark.md``, from ``budgets.toml`` and ``baseline.toml``."""

from __future__ import annotations

from collections.abc import Iterator

from hil_tests.budgets import FILE, Budget, load_budgets
from tests.support import mlperf
from tinyfleet.bench.engine import Baseline, load_baseline
from tinyfleet_codegen.target import load_target

BASELINE = FILE.with_name("baseline.toml")
PAGE = FILE.parents[1] / "docs" / "guides" / "benchmark.md"
PICTURE = PAGE.with_suffix(".svg")
_BEGIN, _END = "<!-- Written by python -m hil_tests.budgets: -->\n", "<!-- end -->\n"
_MODELS = tuple(model.name for model in mlperf.MODELS)
_CORES = {
    "mps2_an385_v6m": "Cortex-M0+",
    "microbit": "Cortex-M0",
    "mps2_an385": "Cortex-M3",
    "mps2_an386": "Cortex-M4",
    "mps2_an500": "Cortex-M7",
    "mps2_an505": "Cortex-M33",
    "mps3_an547": "Cortex-M55",
}
"""Boards in the order of the page."""


def write_page() -> None:
    """Put the tables between the marks of the page, and the picture beside it."""
    PAGE.write_text(_fresh_page(), encoding="utf-8")
    PICTURE.write_text(_picture(), encoding="utf-8")


def page_is_fresh() -> bool:
    """Whether page and picture show what the two files say."""
    return PAGE.read_text(encoding="utf-8") == _fresh_page() and PICTURE.read_text(encoding="utf-8") == _picture()


def _fresh_page() -> str:
    head, begin, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    assert begin and end, f"{PAGE} lacks its marks"
    compiler, _ = load_budgets()
    return f"{head}{begin}\n{_tables()}\nCompiler: {compiler}.\n\n{end}{tail}"


def _rows(board: str) -> Iterator[tuple[Baseline, Budget]]:
    """Theirs and ours, for each model that fits the board."""
    ours = load_budgets()[1].get(board, {})
    for entry in load_baseline(BASELINE, load_target(board).cpu):
        if entry.model in ours:
            yield entry, ours[entry.model]


def _tables() -> str:
    lines = [
        "| core (board) | model | instructions | ratio | flash | ratio | of it code | RAM | ratio | start-up |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for board, core in _CORES.items():
        for theirs, ours in _rows(board):
            lines.append(
                f"| {core} (`{board}`) | {theirs.model} "
                f"| {ours.instructions:,} | {_ratio(ours.instructions, theirs.instructions)} "
                f"| {ours.flash_bytes:,} | {_ratio(ours.flash_bytes, theirs.flash_bytes)} | {ours.code_bytes:,} "
                f"| {ours.ram_bytes:,} | {_ratio(ours.ram_bytes, theirs.ram_bytes)} | {ours.startup_instructions:,} |"
            )
    return "\n".join(lines) + "\n"


def _ratio(ours: int, theirs: int | None) -> str:
    return "" if theirs is None else f"{ours / theirs:.2f}"


_WIDTH, _LEFT, _TOP, _BAR, _GAP = 760, 110, 56, 15, 20
_SCALE = 560
"""Width of a ratio of 1."""
_STYLE = """\
text { font: 12px sans-serif; fill: #333 } .title { font-size: 15px; font-weight: bold } .value { fill: #555 }
.bar { fill: #2a78b8 } .base { stroke: #c0392b; stroke-width: 1.5 } .grid { stroke: #ddd }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .value { fill: #bbb } .bar { fill: #4f9bd9 } .grid { stroke: #444 } }
"""


def _picture() -> str:
    """Instructions over those of the baseline; bars end at 1.1, their numbers do not."""
    parts, y = [], _TOP
    groups = [(core, [row for row in _rows(board) if row[0].instructions is not None]) for board, core in _CORES.items()]
    groups = [(core, rows) for core, rows in groups if rows]
    bottom = _TOP + sum(_BAR * len(rows) + _GAP for _, rows in groups)
    for tenth in range(0, 11, 2):
        x = _LEFT + _SCALE * tenth / 10
        css = "base" if tenth == 10 else "grid"
        parts.append(f'<line class="{css}" x1="{x:.0f}" x2="{x:.0f}" y1="{_TOP - 8}" y2="{bottom - _GAP + 4}"/>')
        parts.append(f'<text x="{x:.0f}" y="{_TOP - 14}" text-anchor="middle">{tenth / 10:.1f}</text>')
    for core, rows in groups:
        parts.append(f'<text x="4" y="{y + 12}">{core}</text>')
        for theirs, ours in rows:
            assert theirs.instructions is not None
            ratio = ours.instructions / theirs.instructions
            width = _SCALE * min(ratio, 1.1)
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{theirs.model}</text>')
            parts.append(f'<rect class="bar" x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="{_BAR - 3}"/>')
            parts.append(f'<text class="value" x="{_LEFT + width + 5:.1f}" y="{y + 12}">{ratio:.2f}</text>')
            y += _BAR
        y += _GAP
    title = '<text class="title" x="4" y="18">Instructions of one inference; 1.0 = TensorFlow Lite Micro with CMSIS-NN</text>'
    lines = "\n".join([f"<style>\n{_STYLE}</style>", title, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom}" role="img">\n{lines}\n</svg>\n'
