"""The demo's processes start, freeze, die and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.patience import HANG_S
from tinyfleet.demo.process import Process
from tinyfleet.emulator.spawn import spawn_tied
from tinyfleet_codegen.errors import SetupError


def cloud_words(folder: Path) -> list[str]:
    return ["cloud", "serve", "--data", str(folder / "cloud"), "--port", "0"]


def wait_until_gone(pid: int, timeout_s: float = HANG_S) -> None:
    deadline = time.monotonic() + timeout_s
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, f"process {pid} still lives"
        time.sleep(0.02)


def test_a_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"gateway ended at its start: .*hint: give the path of a gateway configuration"):
        Process.start("gateway", ["gateway", "run", str(tmp_path / "none.toml")], tmp_path / "gateway.log")
    assert "error: cannot read" in (tmp_path / "gateway.log").read_text()


def test_a_process_that_is_never_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spawned: list[subprocess.Popen[bytes]] = []

    def spawn(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        spawned.append(spawn_tied(*arguments, **options))
        return spawned[-1]

    monkeypatch.setattr("tinyfleet.demo.process.spawn_tied", spawn)
    silent = (sys.executable, "-c", "import signal; signal.pause()")
    with pytest.raises(SetupError, match="not ready within 1 s"):
        Process.start("cloud", [], tmp_path / "cloud.log", timeout_s=1.0, program=silent)
    assert spawned[0].wait(HANG_S) == -signal.SIGKILL


def test_a_frozen_process_answers_nothing_and_still_stops(tmp_path: Path) -> None:
    cloud = Process.start("cloud", cloud_words(tmp_path), tmp_path / "cloud.log")
    try:
        url = f"{cloud.facts['url']}/v1/summary"
        assert httpx.get(url, timeout=HANG_S, trust_env=False).status_code == 200
        cloud.freeze()
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(url, timeout=httpx.Timeout(HANG_S, read=0.5), trust_env=False)
        cloud.thaw()
        assert httpx.get(url, timeout=HANG_S, trust_env=False).status_code == 200
        cloud.freeze()
    finally:
        cloud.stop()
    assert not cloud.is_running()


def test_processes_die_with_the_demo_though_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tinyfleet.demo.process import Process\n"
        f"p = Process.start('cloud', {cloud_words(tmp_path)!r}, Path({str(tmp_path / 'cloud.log')!r}))\n"
        "print(p.pid, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        pid = int(demo.stdout.readline())
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait(HANG_S)
        wait_until_gone(pid)
