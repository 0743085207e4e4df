"""Where programs are found: in what ``./run`` unpacked without root, also by a process that ``./run`` did not start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tinyfleet.toolchain import find_host_cc, tools_dir
from tinyfleet_codegen.errors import SetupError

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's tools with a compiler in them, beside the environment; nothing on PATH."""
    tools = tmp_path / ".tinyfleet" / "tools"
    (tools / "usr/bin").mkdir(parents=True)
    (tools / "usr/bin/cc").write_text("#!/bin/sh\n", encoding="utf-8")
    (tools / "usr/bin/cc").chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("TINYFLEET_TOOLS", raising=False)
    monkeypatch.delenv("CC", raising=False)
    return tools


def test_tools_beside_the_environment_are_found_without_a_variable(unpacked: Path) -> None:
    assert tools_dir() == unpacked
    assert find_host_cc() == [str(unpacked / "usr/bin/cc")]


@pytest.mark.usefixtures("unpacked")
def test_an_empty_variable_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYFLEET_TOOLS", "")
    assert tools_dir() is None
    with pytest.raises(SetupError, match="no C compiler"):
        find_host_cc()
