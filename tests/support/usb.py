"""Ports that come and go, as pyserial lists them: there is no USB where tests run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo


class UsbPorts:
    """What ``serial.tools.list_ports`` finds, from now on in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._ports: dict[str, ListPortInfo] = {}
        monkeypatch.setattr(list_ports, "comports", lambda: list(self._ports.values()))

    def plug(
        self, path: str, serial_number: str | None = None, *, vid: int | None = 0x0483, pid: int = 0x374B, location: str = "1-4"
    ) -> None:
        """A port appears; without ``vid`` it is not on USB."""
        port = ListPortInfo(path, skip_link_detection=True)
        port.description = "Board"
        if vid is not None:
            port.vid, port.pid, port.serial_number, port.location = vid, pid, serial_number, location
        self._ports[path] = port

    @contextmanager
    def plugged(self, terminal: str, serial_number: str) -> Iterator[str]:
        """A pseudo-terminal is a port on USB, under a name that there never was before; yields the name."""
        self._count += 1
        path = self._folder / f"ttyACM{self._count}"
        path.symlink_to(terminal)
        self.plug(str(path), serial_number)
        try:
            yield str(path)
        finally:
            del self._ports[str(path)]
            path.unlink()
