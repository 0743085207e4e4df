"""What the demo promises is checked, and its report shows what happened."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil_tests.conftest import small_package
from tinyfleet.demo.plots import arena_plot, confusion_plot, timeline_plot
from tinyfleet.demo.report import DemoFigures, DemoReport, check_figures
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.plan import Allocation, Part

GOOD = DemoFigures(
    float_accuracy=0.88,
    int8_accuracy=0.89,
    device_accuracy=0.86,
    host_equal=True,
    host_checked=700,
    device_equal=True,
    device_checked=229,
    flash_bytes=30000,
    ram_bytes=90000,
    instructions_per_inference=3_000_000,
    records_produced=229,
    records_in_cloud=229,
    duplicates=0,
    lost=0,
    cloud_kills=1,
    gateway_kills=1,
    outbox_depth_at_cloud_kill=3,
    undelivered_at_gateway_kill=2,
    seconds=80.0,
)
EVENTS = ((1.0, "replay begins"), (5.0, "cloud killed"), (7.5, "cloud restarted"))


def test_good_figures_pass() -> None:
    assert check_figures(GOOD, 0.86) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"float_accuracy": 0.69, "int8_accuracy": 0.69},
        {"int8_accuracy": 0.859},
        {"int8_accuracy": 0.901},
        {"device_accuracy": 0.85},
        {"host_equal": False},
        {"host_checked": 0},
        {"device_equal": False},
        {"device_checked": 199},
        {"records_in_cloud": 228},
        {"records_produced": 0, "records_in_cloud": 0},
        {"duplicates": 1},
        {"lost": 1},
        {"outbox_depth_at_cloud_kill": 0},
        {"undelivered_at_gateway_kill": 0},
    ],
)
def test_each_broken_promise_is_one_failure(changed: dict[str, Any]) -> None:
    assert len(check_figures(dataclasses.replace(GOOD, **changed), 0.86)) == 1


def test_report_json_holds_everything(tmp_path: Path) -> None:
    report = DemoReport(
        "gesture",
        "mps2_an386",
        "tcp",
        "http",
        1,
        "ab" * 32,
        "cd" * 16,
        "oracle",
        GOOD,
        (("train", 9.0),),
        EVENTS,
        ("lost one",),
        "http://x",
    )
    report.write(tmp_path / "report.json")
    read = json.loads((tmp_path / "report.json").read_text())
    assert read["version"] == 1
    assert read["figures"] == dataclasses.asdict(GOOD)
    assert read["failures"] == ["lost one"]
    assert read["events"][1] == [5.0, "cloud killed"]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]


def test_timeline_marks_the_kills() -> None:
    svg = timeline_plot([(1.0, 0), (4.0, 7), (8.0, 0)], EVENTS)
    kills = [e.text for e in ET.fromstring(svg).iter("text") if e.get("class") == "kill"]
    assert kills == ["cloud killed"]
    assert "7" in texts(svg)
    assert timeline_plot([], [])


def test_confusion_matrix_shows_each_count_once() -> None:
    shown = texts(confusion_plot(np.array([[5, 2], [0, 9]]), ("A<B", "C")))
    assert [t for t in shown if t.isdigit()] == ["5", "2", "9"]
    assert shown.count("A<B") == 2


def test_arena_plot_has_one_box_per_allocation() -> None:
    compiled = compile_graph(small_package(), None)
    borrowed = Allocation(32, 64, first=0, last=0, tensors=())
    plan = dataclasses.replace(compiled.plan, parts=(Part(0, 96),), allocations=(*compiled.plan.allocations, borrowed))
    svg = ET.fromstring(arena_plot(dataclasses.replace(compiled, plan=plan)))
    assert len([box for box in svg.iter("rect") if box.get("class") != "scratch"]) == len(compiled.plan.allocations)
    assert [title.text for title in svg.iter("title")].count("scratch of op 0 (RESHAPE): 64 bytes at 32") == 1
