"""Steps an emulated board one instruction at a time, over QEMU's debugger socket (GDB's remote serial protocol)."""

from __future__ import annotations

import socket

from tinyfleet_codegen.errors import LinkClosed, LinkTimeout, ProtocolError

_PC_OFFSET = 15 * 4  # In the answer to g: r0 to r15 first.
_READ_BYTES = 4096


class Debugger:
    """The debugger of a board that was started with ``halted=True`` and stands at its reset.

    Args:
        connection: Connected socket to QEMU; closed with the debugger.
        timeout_s: Deadline for each answer.
    """

    def __init__(self, connection: socket.socket, *, timeout_s: float = 30.0) -> None:
        connection.settimeout(timeout_s)
        self._connection = connection
        self._received = b""

    def instructions_until(self, address: int, *, limit: int) -> int:
        """Instructions that the board executes from where it stands until it is about to execute the one at ``address``.

        Interrupts and timers stand still meanwhile.

        Raises:
            ProtocolError: it does not get there within ``limit`` instructions.
        """
        for count in range(limit):
            if self._pc() == address:
                return count
            self._ask("s")
        raise ProtocolError(f"the board did not reach {address:#x} within {limit} instructions; it stands at {self._pc():#x}")

    def go(self) -> None:
        """Let the board run; it cannot be stepped afterwards."""
        self._ask("D")

    def _pc(self) -> int:
        registers = bytes.fromhex(self._ask("g"))
        return int.from_bytes(registers[_PC_OFFSET : _PC_OFFSET + 4], "little")

    def _ask(self, command: str) -> str:
        """Send one packet, return what the answer holds.

        Raises:
            LinkTimeout, LinkClosed, ProtocolError: no answer, nobody there, an error.
        """
        try:
            self._connection.sendall(f"${command}#{sum(command.encode()) % 256:02x}".encode())
            while b"#" not in self._received[:-2]:
                data = self._connection.recv(_READ_BYTES)
                if not data:
                    raise LinkClosed("QEMU closed its debugger socket")
                self._received += data
            self._connection.sendall(b"+")
        except TimeoutError as error:
            raise LinkTimeout(f"QEMU's debugger did not answer {command!r}") from error
        except OSError as error:
            raise LinkClosed(f"QEMU's debugger is gone: {error.strerror or error}") from error
        answer, _, rest = self._received.lstrip(b"+").partition(b"#")
        self._received = rest[2:]
        if not answer.startswith(b"$") or answer.startswith(b"$E"):
            raise ProtocolError(f"QEMU's debugger answered {command!r} with {answer.decode(errors='replace')!r}")
        return answer[1:].decode()

    def close(self) -> None:
        """Give the connection up; the board stays where it stands."""
        self._connection.close()
