"""The demo's processes: started through the command line, frozen, killed, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tinyfleet.emulator.spawn import spawn_tied
from tinyfleet_codegen.errors import SetupError

START_TIMEOUT_S = 120.0
GRACE_S = 8.0
"""After it, a process that was asked to end is killed."""


class Process:
    """One ``tinyfleet WORDS --json`` that says once that it is ready and then runs until it is stopped.

    It dies with this process, whatever way that ends.

    Attributes:
        facts: The JSON object that it printed when it was ready.
        pid: Its process id.
        log_path: Everything that it printed.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log_path: Path, facts: dict[str, Any]) -> None:
        self.name = name
        self.facts = facts
        self.pid = process.pid
        self.log_path = log_path
        self._process = process

    @classmethod
    def start(
        cls,
        name: str,
        words: list[str],
        log_path: Path,
        *,
        timeout_s: float = START_TIMEOUT_S,
        program: Sequence[str] = (sys.executable, "-m", "tinyfleet"),
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Start it and wait until it is ready.

        Args:
            program: What takes ``WORDS --json`` in the place of ``tinyfleet``.
            env: Added to this process's environment.

        Raises:
            SetupError: it ended, or was not ready in time; the message holds its last line.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        read_end, write_end = os.pipe()
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with os.fdopen(write_end, "wb") as output:
            process = spawn_tied([*program, *words, "--json"], env={**os.environ, **(env or {})}, pass_fds=[], output=output)
        copy = threading.Thread(target=_copy, args=(os.fdopen(read_end, "rb"), log_path, lines), name=f"log of {name}", daemon=True)
        copy.start()
        try:
            facts = _first_facts(name, lines, log_path, timeout_s)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return cls(name, process, log_path, facts)

    def is_running(self) -> bool:
        """Whether it lives (also when frozen)."""
        return self._process.poll() is None

    def freeze(self) -> None:
        """SIGSTOP: it keeps its sockets but answers nothing; returns when that is so."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Undo :meth:`freeze`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, no chance to tidy up; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order, else by force; does nothing when it has ended."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)
        self.kill()


def _first_facts(name: str, lines: queue.SimpleQueue[bytes | None], log_path: Path, timeout_s: float) -> dict[str, Any]:
    """The object that a process prints when it is ready."""
    deadline = time.monotonic() + timeout_s
    last = b""
    try:
        while (line := lines.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
            if line.startswith(b"{"):
                return dict(json.loads(line))
            last = line
    except queue.Empty:
        raise SetupError(f"{name} was not ready within {timeout_s:.0f} s", hint=f"see {log_path}") from None
    why = last.decode(errors="replace").strip() or "it printed nothing"
    raise SetupError(f"{name} ended at its start: {why}", hint=f"see {log_path}")


def _copy(source: IO[bytes], log_path: Path, lines: queue.SimpleQueue[bytes | None]) -> None:
    """Append all output to the log file, and hand the lines up to the first JSON object to whoever waits for it."""
    is_ready = False
    with source, log_path.open("ab", buffering=0) as log_file:
        for line in source:
            log_file.write(line)
            if not is_ready:
                lines.put(line)
                is_ready = line.startswith(b"{")
    lines.put(None)
