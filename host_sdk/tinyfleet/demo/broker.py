"""A real MQTT broker (mosquitto) as a process with its own folder, which tests also stop, kill and start again.

::

    with Broker(folder) as broker:
        broker.url           # mqtt://127.0.0.1:40123
        broker.kill()        # SIGKILL
        broker.start()       # on the same port, with what it had on disk
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tinyfleet.demo.reserved_port import ReservedPort
from tinyfleet.emulator.spawn import spawn_tied
from tinyfleet.toolchain import find_mosquitto
from tinyfleet_codegen.errors import SetupError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
_POLL_S = 0.02


class Broker:
    """One broker on a port of this machine; a context manager that leaves no process behind.

    Args:
        folder: For its configuration, its data and its log; made when it is absent.
        settings: Lines of its configuration; by default everybody on this machine may do everything.
        scheme: Of :attr:`url`.

    Raises:
        SetupError: mosquitto is not installed, or did not start.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = ("allow_anonymous true",), *, scheme: str = "mqtt") -> None:
        self._program = find_mosquitto()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        self.url = f"{scheme}://localhost:{self.port}"
        self.log_path = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            "\n".join(
                (
                    f"listener {self.port} 127.0.0.1",
                    *settings,
                    "persistence true",
                    f"persistence_location {folder}/",
                    "autosave_interval 1",
                    # Root would hand over to a user who cannot read this folder.
                    *(("user root",) if os.getuid() == 0 else ()),
                    "",
                )
            ),
            encoding="utf-8",
        )
        self.start()

    def start(self) -> None:
        """Start it, on the port that it had; returns when it accepts connections.

        Raises:
            SetupError: it ended, or was not ready in time.
        """
        with self.log_path.open("ab") as log:
            command = [str(self._program), "-c", str(self._config)]
            self._process = spawn_tied(command, env=dict(os.environ), pass_fds=[], output=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _accepts(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                last = self.log_path.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
                raise SetupError(f"mosquitto did not start: {last or 'it printed nothing'}", hint=f"see {self.log_path}")
            time.sleep(_POLL_S)

    def is_running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """SIGTERM: it writes down what it holds and ends."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._reserved.close()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True
