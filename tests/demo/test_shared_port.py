"""One UART, several hosts."""

from __future__ import annotations

import asyncio

import pytest

from tests.host.peer import PythonBoard, tcp_peer
from tinyfleet.demo.shared_port import share_port
from tinyfleet.device import Device, DeviceClient
from tinyfleet.link import open_link
from tinyfleet_codegen.errors import LinkClosed


async def talk(url: str, name: str, count: int) -> None:
    async with open_link(url) as link:
        device = Device(url, DeviceClient(link, 10.0), 10.0)
        for i in range(count):
            assert await device.echo(f"{name} {i}") == f"{name} {i}"


async def test_each_host_gets_its_own_replies() -> None:
    board = PythonBoard()
    board.piece_bytes = 7
    async with tcp_peer(board) as (board_url, _), share_port(board_url) as url:
        await asyncio.gather(*(talk(url, f"host {i}", 30) for i in range(4)))
    assert len(board.requests) == 120


async def test_a_host_that_vanishes_in_mid_request_does_not_disturb_the_others() -> None:
    board = PythonBoard()
    async with tcp_peer(board) as (board_url, _), share_port(board_url) as url:
        for _ in range(5):
            async with open_link(url) as link:
                leaving = asyncio.create_task(Device(url, DeviceClient(link, 10.0), 10.0).echo("I go before the answer"))
                await asyncio.sleep(0)
                leaving.cancel()
            await talk(url, "stays", 3)


async def test_hosts_see_a_closed_link_when_the_board_is_gone() -> None:
    board = PythonBoard()
    async with tcp_peer(board) as (board_url, cut), share_port(board_url) as url, open_link(url) as link:
        device = Device(url, DeviceClient(link, 10.0), 10.0)
        assert await device.echo("there") == "there"
        cut()
        with pytest.raises(LinkClosed):
            await device.echo("gone")
