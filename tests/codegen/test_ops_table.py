"""docs/spec/ops.md is what the op files say."""

from __future__ import annotations

from pathlib import Path

from tinyfleet_codegen.ops_table import render

PAGE = Path(__file__).parents[2] / "docs/spec/ops.md"


def test_ops_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m tinyfleet_codegen.ops_table > docs/spec/ops.md"
