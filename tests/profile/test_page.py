"""The page and the comparison of profiles, without a board."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tinyfleet.bench.measure import FlashSplit
from tinyfleet.cli.app import main
from tinyfleet.profile import (
    ArenaPlace,
    FunctionSize,
    LayerProfile,
    ModelProfile,
    compare_profiles,
    load_profile,
    render_profile,
)
from tinyfleet_codegen.errors import ConfigError

LAYERS = (
    LayerProfile(0, 0, "CONV_2D", "tyf_conv2d_s8", "a<b;rest", (1, 4, 4, 8), 1000, 2000, 2.0, 300, 40),
    LayerProfile(1, 1, "RESHAPE", "", "flat", (1, 128), 0, 30, None, 0, 0),
    LayerProfile(2, 2, "FULLY_CONNECTED", "tyf_fully_connected_s8", "out", (1, 2), 256, 400, 1.5625, 256, 24),
)
PROFILE = ModelProfile(
    name="m",
    model_id="ab" * 32,
    board="mps2_an386",
    instructions=2430,
    macs=1256,
    flash_bytes=9000,
    flash=FlashSplit(556, 64, 8380),
    arena_bytes=160,
    arena_lower_bound_bytes=144,
    static_bytes=100,
    stack_bytes=300,
    stack_bound_bytes=420,
    model_stack_bound_bytes=260,
    ram_bytes=560,
    startup_instructions=900,
    layers=LAYERS,
    arena=(
        ArenaPlace("in", 0, 16, -1, 0, False),
        ArenaPlace("a", 16, 128, 0, 2, False),
        ArenaPlace("scratch", 144, 16, 0, 0, True),
    ),
    functions=(FunctionSize("tyf_conv2d_s8", 700), FunctionSize("main", 90)),
)


def test_the_page_needs_nothing_else_and_shows_every_layer() -> None:
    page = render_profile(PROFILE)
    assert not re.search(r"(src|href|url)\s*[=(]", page) and "<script" not in page
    plots = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page)]
    assert len(plots) == 4
    instructions, arena, flash, functions = ("".join(plot.itertext()) for plot in plots)
    assert "2,000 (82.3%) 2.00" in instructions and "30 (1.2%)" in instructions
    assert "no less than 144" in arena and "in: 16 bytes at 0" in arena and "1 reshape" in arena
    assert "300 + 40" in flash and "reshape" not in flash
    assert "tyf_conv2d_s8" in functions and "700" in functions
    assert render_profile(PROFILE) == page


def test_the_bound_is_drawn_only_where_the_plan_is_above_it() -> None:
    assert "no less than" not in render_profile(replace(PROFILE, arena_lower_bound_bytes=160))


def write(path: Path, profile: ModelProfile) -> Path:
    path.write_text(json.dumps(asdict(profile)))
    return path


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code of the command and what it printed on stdout."""
    monkeypatch.setattr("sys.argv", ["tinyfleet", "profile", *arguments])
    code = main()
    return code, capsys.readouterr().out


def test_comparison_fails_above_the_threshold_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = replace(PROFILE, instructions=2430 * 102 // 100, layers=(replace(LAYERS[0], instructions=2049), *LAYERS[1:]))
    before, after = str(write(tmp_path / "before.json", PROFILE)), str(write(tmp_path / "after.json", slower))
    code, output = run(["--compare", before, after], monkeypatch, capsys)
    assert code == 0
    assert re.search(r"op 0 \(CONV_2D\) a<b;rest +2,000 +2,049 +\+2\.45 %", output) and "op 2" not in output
    code, output = run(["--compare", before, after, "--threshold", "1", "--json"], monkeypatch, capsys)
    assert code == 1 and json.loads(output)["exceeded"] == ["instructions"]
    # What got better is no failure.
    assert run(["--compare", after, before, "--threshold", "0"], monkeypatch, capsys)[0] == 0


def test_only_profiles_of_one_board_compare(tmp_path: Path) -> None:
    before = load_profile(write(tmp_path / "before.json", PROFILE))
    with pytest.raises(ConfigError, match="one profile is of mps2_an386, the other of microbit"):
        compare_profiles(before, load_profile(write(tmp_path / "after.json", replace(PROFILE, board="microbit"))), 3)
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(ConfigError, match="is no profile"):
        load_profile(tmp_path / "other.json")


@pytest.mark.parametrize("arguments", [[], ["m.tflite"], ["m.tflite", "--compare", "a", "b"], ["--threshold", "-1"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments, monkeypatch, capsys)[0] == 2
