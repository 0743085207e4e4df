"""``./run`` before and after its set-up; what installs is tried on bare machines, not here."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import HANG_S

ROOT = Path(__file__).resolve().parents[2]
SHELL_TOOLS = ("awk", "cat", "cksum", "cut", "df", "dirname", "env", "flock", "grep", "id", "mkdir", "rm", "sh", "tail", "tr")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout that was never set up, in a path with a space; just the files that ``run`` reads before it installs."""
    folder = tmp_path / "my checkout"
    folder.mkdir()
    for name in ("run", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def _run(folder: Path, *words: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    base = {name: value for name, value in os.environ.items() if name not in ("CC", "TINYFLEET_TOOLS", "TINYFLEET_PYTHON")}
    return subprocess.run(
        [folder / "run", *words], cwd=cwd or folder, env=base | env, capture_output=True, text=True, timeout=HANG_S, check=False
    )


def _path_without_apt(tmp_path: Path) -> str:
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in SHELL_TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    return str(folder)


def test_a_start_after_set_up_installs_nothing_and_is_quick(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = _run(ROOT, "--version", cwd=tmp_path, PYTHONHOME="/nowhere", PYTHONPATH="/nowhere")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tinyfleet ")
    assert done.stderr == ""
    # A quarter of a second; 2 s are promised. Of the processor's time, which a busy machine does not stretch.
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


@pytest.mark.parametrize("word", ["demo", "--help"])
def test_an_unsupported_python_is_refused_with_the_range_and_a_way_out(copy: Path, tmp_path: Path, word: str) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2\n', encoding="utf-8")
    old.chmod(0o755)
    done = _run(copy, word, TINYFLEET_PYTHON=str(old))
    assert done.returncode == 1
    for part in ("3.11, 3.12 or 3.13", f"{old} (Python 3.9.2)", "TINYFLEET_PYTHON="):
        assert part in done.stderr
    assert not (copy / ".venv").exists()


def test_without_apt_it_names_what_is_missing_and_where_it_looked(copy: Path, tmp_path: Path) -> None:
    path = _path_without_apt(tmp_path)
    done = _run(copy, "demo", TINYFLEET_PYTHON=sys.executable, PATH=path)
    assert done.returncode == 1
    for part in ("gcc", "gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm", path):
        assert part in done.stderr


def test_an_environment_that_it_did_not_make_is_left_alone(copy: Path) -> None:
    (copy / ".venv").mkdir()
    (copy / ".venv" / "mine").touch()
    done = _run(copy, "--help", TINYFLEET_PYTHON=sys.executable)
    assert done.returncode == 1
    assert "was not made by ./run" in done.stderr
    assert (copy / ".venv" / "mine").exists()


def test_a_link_to_it_from_elsewhere_says_what_is_wrong(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(copy / "run")
    done = _run(tmp_path, "--help")
    assert done.returncode == 1
    assert "in its own folder" in done.stderr
