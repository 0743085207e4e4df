"""``serial:///dev/ttyACM0?baud=115200``: a serial port or a pseudo-terminal; ``serial_ports`` finds it by its USB serial number.

A thread waits in the port's read, so that nothing polls and every system that pyserial knows works alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading

import serial

from tinyfleet_codegen.errors import LinkClosed, LinkTimeout

DEFAULT_BAUD = 115200


class SerialPipe:
    """Bytes over one serial port, opened for us alone."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._received: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_closed = False
        self._reader = threading.Thread(target=self._read_port, name=f"tinyfleet-{port.port}", daemon=True)
        self._reader.start()

    @classmethod
    async def open(cls, path: str, baud: int, timeout_s: float) -> SerialPipe:
        """Open the port; what arrived before is dropped.

        Raises:
            LinkClosed: there is no such port, or it is in use.
        """
        try:
            port = await asyncio.to_thread(serial.Serial, path, baud, write_timeout=timeout_s, exclusive=True)
        except (OSError, ValueError) as error:
            # pyserial's own words name the port and the number once more.
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            hint = "tinyfleet device scan lists the ports"
            if isinstance(error, OSError) and error.errno == errno.EACCES:
                hint = "join the group that owns it, then log in again: sudo usermod -aG dialout $USER"
            raise LinkClosed(f"cannot open serial port {path}: {reason}", hint=hint) from error
        return cls(port)

    async def write(self, data: bytes) -> None:
        """See :class:`~tinyfleet.link.pipe.BytePipe`; raises LinkTimeout when the device takes nothing."""
        try:
            await asyncio.to_thread(self._port.write, data)
        except serial.SerialTimeoutException as error:
            raise LinkTimeout(f"{self._port.port} takes no bytes") from error
        except (OSError, TypeError) as error:
            # TypeError is pyserial's way to say that the port was closed meanwhile.
            raise LinkClosed(f"serial port {self._port.port} is gone: {error}") from error

    async def read(self) -> bytes:
        """See :class:`~tinyfleet.link.pipe.BytePipe`."""
        data = b"" if self._is_closed else await self._received.get()
        if not data:
            self._is_closed = True
            raise LinkClosed(f"serial port {self._port.port} is gone")
        return data

    async def close(self) -> None:
        """See :class:`~tinyfleet.link.pipe.BytePipe`."""
        if self._port.is_open:
            self._port.cancel_read()
            await asyncio.to_thread(self._reader.join)
            self._port.close()

    def _read_port(self) -> None:
        """The thread: hand bytes to the loop until the port ends; the last piece is empty."""
        data = b"-"
        while data:
            try:
                data = self._port.read(max(1, self._port.in_waiting))
            except (OSError, TypeError):
                data = b""
            # The loop may have ended before us.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._received.put_nowait, data)
