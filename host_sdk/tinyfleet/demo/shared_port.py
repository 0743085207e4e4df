"""One UART, several hosts: whole management messages pass, one exchange at a time.

A board's UART serves one host. Here the gateway and the replay both need it, so the demo puts this port in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tinyfleet.link import Link, open_link
from tinyfleet.link.framing import FrameDecoder, encode_message
from tinyfleet_codegen.errors import LinkError

log = logging.getLogger(__name__)

EXCHANGE_TIMEOUT_S = 10.0
"""Longest that one request may hold the board."""


@asynccontextmanager
async def share_port(url: str) -> AsyncIterator[str]:
    """Open a device and offer it on a TCP port of this machine to any number of hosts.

    Yields:
        The ``tcp://`` URL of that port.

    Raises:
        LinkError: the device cannot be opened.
    """
    async with open_link(url) as link:
        port = _SharedPort(link)
        server = await asyncio.start_server(port.serve, "127.0.0.1", 0)
        try:
            yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            port.close()


class _SharedPort:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._turn = asyncio.Lock()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one host's requests on until it goes."""
        decoder = FrameDecoder()
        self._writers.add(writer)
        try:
            while data := await reader.read(65536):
                for message in decoder.feed(data):
                    async with self._turn, asyncio.timeout(EXCHANGE_TIMEOUT_S):
                        reply = await self._link.send_and_receive(message)
                    writer.write(encode_message(reply))
                    await writer.drain()
        except asyncio.CancelledError:
            pass  # the end of the program; raised on, asyncio's streams would log it as an error
        except (LinkError, OSError, TimeoutError) as error:
            # To this host the device is gone; what it has not heard it will ask again.
            log.debug("host dropped error=%r", error)
        finally:
            self._writers.discard(writer)
            writer.close()

    def close(self) -> None:
        """Drop all hosts."""
        for writer in self._writers:
            with contextlib.suppress(OSError):
                writer.close()
