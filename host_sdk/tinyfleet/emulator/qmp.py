"""The little of QEMU's machine protocol that starting a board needs: is it up, and what is its pseudo-terminal called."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from tinyfleet_codegen.errors import LinkClosed, LinkTimeout, ProtocolError


class Qmp:
    """A connection to one QEMU over an already connected socket.

    Args:
        connection: Our end of the socket.
        timeout_s: Deadline for everything that is asked, from now on.
    """

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + timeout_s
        self._received = b""

    def wait_until_up(self) -> None:
        """Return when QEMU's main loop answers, that is, when the machine is built and its program loaded."""
        self._read_message()  # The greeting.
        self._execute("qmp_capabilities")

    def chardev_filename(self, label: str) -> str:
        """Where a character device leads, for example ``pty:/dev/pts/7``."""
        for device in self._execute("query-chardev"):
            if device["label"] == label:
                return str(device["filename"])
        raise ProtocolError(f"QEMU has no character device {label!r}")

    def _execute(self, command: str) -> Any:
        self._connection.sendall(json.dumps({"execute": command}).encode() + b"\n")
        while True:
            message = self._read_message()
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise ProtocolError(f"QEMU refused {command}: {message['error'].get('desc', message['error'])}")

    def _read_message(self) -> dict[str, Any]:
        while b"\n" not in self._received:
            remaining_s = self._deadline - time.monotonic()
            if remaining_s <= 0:
                raise LinkTimeout("QEMU did not answer in time")
            self._connection.settimeout(remaining_s)
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                continue
            except OSError as error:
                raise LinkClosed(f"QEMU closed its control socket: {error.strerror}") from error
            if not data:
                raise LinkClosed("QEMU closed its control socket")
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ProtocolError(f"QEMU sent {line[:80]!r}")
        return message
