"""What ``tinyfleet bench engine`` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tinyfleet.bench import engine
from tinyfleet.bench.engine import Baseline, Comparison, load_baseline, select
from tinyfleet.bench.measure import FlashSplit, Measurement
from tinyfleet.cli.bench import register
from tinyfleet_codegen.errors import ConfigError, UsageError

BASELINE = Path(__file__).parents[2] / "hil_tests" / "baseline.toml"
OURS = Measurement(
    board="mps2_an386",
    model="kws",
    instructions=3_000,
    macs=2_000,
    startup_instructions=900,
    flash=FlashSplit(weights_bytes=100, tables_bytes=20, code_bytes=80),
    arena_bytes=50,
    static_bytes=30,
    stack_bytes=20,
)
KNOWN = Comparison(Baseline("kws", "kws.tflite", 6_000, 800, 400), OURS)
UNKNOWN = Comparison(Baseline("vww", "vww.tflite", None, None, None), OURS)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def bench_engine(*_args: Any, **_options: Any) -> Iterator[Comparison]:
        yield from (KNOWN, UNKNOWN)

    monkeypatch.setattr(engine, "bench_engine", bench_engine)


def invoke(*arguments: str) -> str:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["bench", "engine", "--models", ".", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("measured")
def test_table_shows_ratios_and_leaves_out_what_is_not_known() -> None:
    head, known, unknown = invoke().splitlines()
    assert head.split()[:5] == ["board", "model", "instructions", "ratio", "per"]
    assert " ".join(known.split()) == "mps2_an386 kws 3,000 0.50 1.50 200 0.25 80 100 20 100 0.25 50 30 20 900"
    assert " ".join(unknown.split()) == "mps2_an386 vww 3,000 - 1.50 200 - 80 100 20 100 - 50 30 20 900"


@pytest.mark.usefixtures("measured")
def test_json_holds_the_same() -> None:
    known, unknown = json.loads(invoke("--json"))
    assert known["ratios"] == {"instructions": 0.5, "flash": 0.25, "ram": 0.25}
    assert (known["ours"]["flash_bytes"], known["ours"]["ram_bytes"], known["ours"]["flash"]["code_bytes"]) == (200, 100, 80)
    assert set(unknown["ratios"].values()) == {None}


def test_a_model_that_the_baseline_lacks_is_named() -> None:
    with pytest.raises(UsageError, match="no model 'foo'"):
        select(load_baseline(BASELINE, "cortex-m4"), ["kws", "foo"])


@pytest.mark.parametrize("text", ["[cortex-m4.kws]\nfile = 1\ninstructions = 'many'\n", "x = 1\n", "[["])
def test_a_baseline_that_makes_no_sense_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="no baseline in"):
        load_baseline(path, "cortex-m4")
