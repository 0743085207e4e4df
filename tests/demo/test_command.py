"""How the command ends."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import tinyfleet.demo
from tests.demo.test_report import EVENTS, GOOD
from tinyfleet.cli.app import main
from tinyfleet.demo import DemoOptions, DemoReport, Display
from tinyfleet_codegen.errors import TinyfleetError

REPORT = DemoReport(
    "gesture", "mps2_an386", "tcp", "http", 1, "ab" * 32, "cd" * 16, "oracle", GOOD, (("train", 9.0),), EVENTS, (), "http://x"
)


def pretend(monkeypatch: pytest.MonkeyPatch, report: DemoReport, *words: str) -> int:
    def run_demo(options: DemoOptions, display: Display, on_done: Callable[[DemoReport], None]) -> DemoReport:
        display.begin("a step")
        display.advance(1, 2, "half")
        display.finish("done")
        on_done(report)
        return report

    monkeypatch.setattr(tinyfleet.demo, "run_demo", run_demo)
    monkeypatch.setattr("sys.argv", ["tinyfleet", "demo", *words])
    return main()


def test_success_prints_one_table_and_ends_with_zero(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert pretend(monkeypatch, REPORT) == 0
    shown = capsys.readouterr().out
    assert "229 of 229" in shown
    assert "FAILED" not in shown
    assert f"report   {Path('build/demo/report.html')}" in shown


def test_a_failure_ends_with_one_and_says_what(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    figures = dataclasses.replace(GOOD, lost=1, records_in_cloud=228)
    broken = dataclasses.replace(REPORT, figures=figures, failures=("1 of 229 records are not in the cloud: x/1/7",))
    assert pretend(monkeypatch, broken, "--json") == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == dataclasses.asdict(figures)
    assert "error: 1 of 229 records are not in the cloud: x/1/7\n  hint: logs" in captured.err
    assert pretend(monkeypatch, broken) == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_step_that_raises_ends_with_one_and_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run_demo(*_: object) -> None:
        raise TinyfleetError("no such thing", hint="get one")

    monkeypatch.setattr(tinyfleet.demo, "run_demo", run_demo)
    monkeypatch.setattr("sys.argv", ["tinyfleet", "demo"])
    assert main() == 1
    assert "error: no such thing\n  hint: get one\n" in capsys.readouterr().err
