"""A device through a gateway that goes and comes back: who uses it there goes on, as soon as the board is shared again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.fake_board import FakeBoard
from tests.host.peer import tcp_peer
from tests.support.patience import HANG_S, with_patience
from tinyfleet.device import open_device
from tinyfleet.gateway.proxy import open_port, shared
from tinyfleet.link.shared import ENVIRONMENT, VERSION, Greeting, open_shared, socket_path
from tinyfleet_codegen.errors import LinkTimeout, ProtocolError


@pytest.fixture(autouse=True)
def ports(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets of this test alone."""
    monkeypatch.setenv(ENVIRONMENT, str(short_folder / "ports"))


@asynccontextmanager
async def holding(url: str) -> AsyncIterator[None]:
    """The port, as a gateway holds it."""
    async with open_port(url) as device, shared(device):
        yield


async def test_user_of_a_shared_port_waits_for_its_holder_to_come_back() -> None:
    board = FakeBoard()
    async with tcp_peer(board) as (url, _):
        async with holding(url):
            user = open_device(url, timeout_s=HANG_S)
            device = await user.__aenter__()
            assert (await device.hello()).device_id == board.device_id
        try:
            asking = asyncio.create_task(device.hello())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(asking), 0.3)
            async with holding(url):
                assert (await asking).device_id == board.device_id
        finally:
            await user.__aexit__(None, None, None)


async def test_a_holder_that_was_killed_leaves_a_socket_that_is_nobody_and_waiting_ends() -> None:
    board = FakeBoard()

    async def attempt(patience: float) -> None:
        async with tcp_peer(board) as (url, _):
            async with holding(url):
                user = open_device(url, timeout_s=0.5 * patience)
                device = await user.__aenter__()
            path = socket_path(url)
            (await asyncio.start_unix_server(lambda _r, _w: None, str(path))).close()  # the file stays, and refuses
            try:
                with pytest.raises(LinkTimeout, match="no program holds"):
                    await device.hello()
            finally:
                await user.__aexit__(None, None, None)

    await with_patience(attempt)


async def test_a_holder_that_takes_nothing_does_not_hold_up_who_leaves() -> None:
    """It was stopped: what was sent to it stays in this process, and closing waited for it without end."""
    url = "tcp://127.0.0.1:1"
    socket_path(url).parent.mkdir(mode=0o700)
    forever, takers = asyncio.Event(), []

    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        takers.append((reader, writer))  # as long as the test: or its end would be seen
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(Greeting(VERSION, 1 << 20, in_session=True).encode())
        await forever.wait()

    server = await asyncio.start_unix_server(greets, str(socket_path(url)), limit=1)
    try:
        link = await open_shared(url, HANG_S)
        assert link is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await link.send(bytes(1 << 22))
        async with asyncio.timeout(HANG_S):
            await link.disconnect()
    finally:
        forever.set()
        server.close()
        for _, writer in takers:
            writer.transport.abort()


async def test_what_greets_without_end_is_no_gateway() -> None:
    url = "tcp://127.0.0.1:1"
    socket_path(url).parent.mkdir(mode=0o700)
    left = asyncio.Event()

    async def babbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"{" * 100_000)
        await reader.read()
        left.set()
        writer.close()

    server = await asyncio.start_unix_server(babbles, str(socket_path(url)))
    try:
        with pytest.raises(ProtocolError, match="is no gateway"):
            await open_shared(url, HANG_S)
        async with asyncio.timeout(HANG_S):
            await left.wait()  # it is told, and not when somebody collects garbage
    finally:
        server.close()
