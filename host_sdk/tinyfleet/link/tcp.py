"""``tcp://HOST:PORT``: a UART behind a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from tinyfleet_codegen.errors import LinkClosed, LinkTimeout

_READ_BYTES = 65536
_CLOSE_S = 1.0


async def close_writer(writer: asyncio.StreamWriter) -> None:
    """Close a stream; whoever is at its other end and takes nothing, because it was stopped, does not get what is unsent."""
    writer.close()
    try:
        async with asyncio.timeout(_CLOSE_S):
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()


class TcpPipe:
    """Bytes over one TCP connection, each write sent at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        self._reader = reader
        self._writer = writer
        self._peer = peer

    @classmethod
    async def open(cls, host: str, port: int, timeout_s: float) -> TcpPipe:
        """Connect.

        Raises:
            LinkClosed: nobody listens there.
            LinkTimeout: no connection within the deadline.
        """
        peer = f"tcp://{host}:{port}"
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(host, port)
        except TimeoutError as error:
            raise LinkTimeout(f"no connection to {peer} within {timeout_s:g} s") from error
        except OSError as error:
            raise LinkClosed(f"cannot connect to {peer}: {error.strerror or error}", hint="is the board running?") from error
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(reader, writer, peer)

    async def write(self, data: bytes) -> None:
        """See :class:`~tinyfleet.link.pipe.BytePipe`."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise LinkClosed(f"{self._peer} closed the connection") from error

    async def read(self) -> bytes:
        """See :class:`~tinyfleet.link.pipe.BytePipe`."""
        try:
            data = await self._reader.read(_READ_BYTES)
        except OSError as error:
            raise LinkClosed(f"{self._peer} closed the connection") from error
        if not data:
            raise LinkClosed(f"{self._peer} closed the connection")
        return data

    async def close(self) -> None:
        """See :class:`~tinyfleet.link.pipe.BytePipe`."""
        await close_writer(self._writer)
