"""A board on USB, as its gateway sees one: its port goes while it makes records, and comes back under another name."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from hil_tests.conftest import StartBoard
from tests.gateway.processes import running_cloud, wait_until, write_config
from tests.support.usb import UsbPorts
from tinyfleet.cloud.audit import BoardCount, audit, read_cloud
from tinyfleet.device import open_device
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.gateway import Gateway, load_config
from tinyfleet.gateway.proxy import open_port
from tinyfleet.link.shared import ENVIRONMENT as PORTS

PERIOD_MS = 20
RECORDS = 150


@asynccontextmanager
async def plugged(board: EmulatedBoard, usb: UsbPorts) -> AsyncIterator[str]:
    """The board's UART on a pseudo-terminal of its own, as a USB adapter carries it; the board runs on when it is pulled out."""
    loop = asyncio.get_running_loop()
    host, _, port = board.url.removeprefix("tcp://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)

    async def from_board() -> None:
        while data := await reader.read(256):
            with suppress(BlockingIOError):  # Nobody reads there: the adapter's buffer is full.
                os.write(master, data)

    def to_board() -> None:
        with suppress(OSError):
            writer.write(os.read(master, 4096))

    loop.add_reader(master, to_board)
    carrying = asyncio.create_task(from_board())
    try:
        with usb.plugged(os.ttyname(slave), board.device_id.hex()) as path:
            yield path
    finally:
        loop.remove_reader(master)
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        os.close(master)
        os.close(slave)
        writer.close()
        await writer.wait_closed()


async def test_board_whose_port_goes_and_returns_under_another_name_is_pulled_whole(
    start_board: StartBoard, tmp_path: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PORTS, str(short_folder / "ports"))
    usb = UsbPorts(monkeypatch, tmp_path)
    board = await asyncio.to_thread(start_board)
    url = f"serial://usb:{board.device_id.hex()}"
    paths = []
    async with open_device(board.url) as device:
        await device.sample(PERIOD_MS, seed=1, count=RECORDS)
    async with running_cloud(tmp_path / "cloud") as cloud:
        gateway = Gateway(load_config(write_config(tmp_path, [url], cloud.url)), open_port)
        running = asyncio.create_task(gateway.run())
        try:
            async with plugged(board, usb) as path:
                paths.append(path)
                await wait_until(lambda: cloud.has(stored=RECORDS // 4), "the first records in the cloud")
            async with plugged(board, usb) as path:
                paths.append(path)
                await wait_until(lambda: cloud.has(stored=RECORDS // 2), "more records in the cloud")
            async with plugged(board, usb) as path:
                paths.append(path)
                await wait_until(lambda: cloud.has(stored=RECORDS), "all records in the cloud")
        finally:
            gateway.stop()
            await asyncio.wait_for(running, 20)
        verdict = audit(await asyncio.to_thread(read_cloud, cloud.url), [BoardCount(board.device_id, 1, RECORDS)])
    print(paths, verdict)
    assert len(set(paths)) == 3
    assert verdict.is_exact and verdict.produced == RECORDS, verdict
