"""Lets other programs of this user speak to a device while the gateway holds its port, each message in its turn.

::

    async with open_device(url) as device, shared(device):
        ...                                            # tinyfleet device info URL works meanwhile

Whoever comes through here speaks as the gateway does, in its session where there is one: the socket lies in a folder that nobody else
opens, and who reads that could read the key too. Turns go from message to message, so an upload through here never keeps the gateway from
pulling for longer than one chunk takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from tinyfleet.device import Device, open_device
from tinyfleet.link.shared import VERSION, Greeting, is_private, read_message, socket_path
from tinyfleet_codegen.errors import LinkClosed, TinyfleetError

log = logging.getLogger(__name__)


def open_port(url: str, *, timeout_s: float = 5.0) -> AbstractAsyncContextManager[Device]:
    """How a gateway opens a device: never through another one."""
    return open_device(url, timeout_s=timeout_s, own_port=True)


@asynccontextmanager
async def shared(device: Device) -> AsyncIterator[None]:
    """Serve a socket for the device, whose port, or place in the air, has room for one host; where that cannot be, say so and go on."""
    path = await asyncio.to_thread(socket_path, device.url)
    serving: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve(device, reader, writer), name=f"port {device.url}")
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_private(path.parent):
            path.unlink(missing_ok=True)  # of a gateway that was killed: the port is ours now
            server = await asyncio.start_unix_server(begin, str(path))
        else:
            log.warning("port not shared url=%s: %s is open to others", device.url, path.parent)
    except (OSError, ValueError) as error:
        log.warning("port not shared url=%s error=%s", device.url, error)
    try:
        yield
    finally:
        if server is not None:
            server.close()
            with suppress(OSError):
                path.unlink(missing_ok=True)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _serve(device: Device, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One program, until it leaves or the device does."""

    async def answer(message: bytes) -> None:
        try:
            writer.write(await device.exchange(message))
            await writer.drain()
        except (OSError, LinkClosed):
            writer.close()
        except TinyfleetError as error:
            log.debug("message not answered url=%s error=%s", device.url, error)  # its sender waits no longer than its own deadline

    answering: asyncio.Task[None] | None = None
    try:
        most = device.message_bytes
        writer.write(Greeting(VERSION, most, device.is_in_session).encode())
        while len(message := await read_message(reader)) <= most:
            if answering is not None:
                answering.cancel()  # One at a time: who sends another has given it up.
            answering = asyncio.create_task(answer(message))
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        if answering is not None:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        writer.close()
