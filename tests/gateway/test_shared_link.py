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
from tinyfleet.link.shared import ENVIRONMENT, socket_path
from tinyfleet_codegen.errors import LinkTimeout


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
