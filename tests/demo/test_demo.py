"""The demo itself, as a user runs it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tinyfleet.demo import DemoFigures

pytestmark = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=["tcp http", *(pytest.param(way, marks=pytest.mark.full) for way in ("ble http", "tcp mqtt", "tcp kafka", "tcp opcua"))],
)
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo with a space")
    link, sink = request.param.split()
    command = [sys.executable, "-m", "tinyfleet", "demo", "--link", link, "--sink", sink, "--json", "-o", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)
    assert result.returncode == 0, result.stderr
    return folder, json.loads(result.stdout)


def test_the_demo_keeps_its_promises(demo: tuple[Path, dict[str, Any]]) -> None:
    figures = demo[1]
    assert set(figures) == {field.name for field in dataclasses.fields(DemoFigures)}
    assert figures["float_accuracy"] >= 0.80
    assert abs(figures["float_accuracy"] - figures["int8_accuracy"]) <= 0.02
    assert figures["host_equal"] is True and figures["host_checked"] == 707
    assert figures["device_equal"] is True and figures["device_checked"] >= 200
    assert figures["records_produced"] == figures["records_in_cloud"] == figures["device_checked"]
    assert (figures["lost"], figures["duplicates"]) == (0, 0)
    assert (figures["cloud_kills"], figures["gateway_kills"]) == (1, 1)
    assert figures["outbox_depth_at_cloud_kill"] > 0
    assert figures["undelivered_at_gateway_kill"] > 0
    assert figures["flash_bytes"] > 20_000 and figures["ram_bytes"] > 10_000
    assert figures["instructions_per_inference"] > 100_000


def test_the_report_is_one_file_of_its_own(demo: tuple[Path, dict[str, Any]]) -> None:
    page = (demo[0] / "report.html").read_text(encoding="utf-8")
    assert "Every check passed" in page
    assert page.count("<svg") == 3
    assert "src=" not in page and "href=" not in page and "url(" not in page
    report = json.loads((demo[0] / "report.json").read_text(encoding="utf-8"))
    assert report["figures"] == demo[1]
    assert report["failures"] == []


def test_no_process_is_left(demo: tuple[Path, dict[str, Any]]) -> None:
    needle = os.fsencode(str(demo[0]))
    command_lines = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command_lines[path.parent.name] = path.read_bytes()
        except OSError:
            continue  # it ended meanwhile
    assert [pid for pid, words in command_lines.items() if needle in words] == []
