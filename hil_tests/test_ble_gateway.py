"""A gateway that holds several boards over BLE at once: each record arrives once, whatever links and processes are lost."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hil_tests.conftest import CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, StartBoard
from tests.gateway.processes import running_cloud, running_gateway, wait_until, write_config
from tinyfleet.cloud.audit import BoardCount, audit, read_cloud
from tinyfleet.device import open_device
from tinyfleet.device_keys import ENVIRONMENT, new_key
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.emulator.air import ThreadedAir, serve_air
from tinyfleet.link.ble import AIR_ENVIRONMENT
from tinyfleet_codegen.errors import LinkError

SEED = 20261126
LOSSES = 6


async def provision(board: EmulatedBoard) -> None:
    async with open_device(board.url, timeout_s=40.0) as device:
        with new_key(board.device_id) as key:
            await device.provision(key)


async def feed(board: EmulatedBoard, windows: int) -> BoardCount:
    """Replay over the wire, where the sensor would be; returns what the board's own counter says."""
    count = (WINDOW_SAMPLES + (windows - 1) * HOP_SAMPLES) * CHANNELS
    samples = np.random.default_rng(SEED).integers(-2000, 2000, count).astype(np.int16).reshape(-1, CHANNELS)
    async with open_device(board.url, timeout_s=40.0) as device:
        await device.replay(1, samples)
        hello, stats = await device.hello(), await device.stats()
    assert stats.ring_overwrites == 0, "the test was faster than the gateway"
    return BoardCount(hello.device_id, hello.boot_id, stats.records)


async def asks_through_gateway(url: str) -> bytes:
    async with asyncio.timeout(120):
        while True:
            try:
                async with open_device(url) as device:
                    return (await device.hello()).device_id
            except LinkError:  # the gateway is about to connect again
                await asyncio.sleep(0.1)


async def disturb(air: ThreadedAir) -> None:
    """Lose all links, again and again."""
    chance = random.Random(SEED)
    for _ in range(LOSSES):
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        air.lose_links()


@pytest.mark.parametrize(
    ("boards", "windows"),
    [
        (2, 200),
        pytest.param(8, 1000, marks=[pytest.mark.full, pytest.mark.timeout(900)]),
    ],
)
async def test_boards_in_the_air_are_pulled_without_loss(
    start_board: StartBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boards: int, windows: int
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "keys"))
    print(f"seed {SEED}")
    with serve_air() as air:
        monkeypatch.setenv(AIR_ENVIRONMENT, air.address)
        fleet = [await asyncio.to_thread(start_board, nvm=f"{number}.nvm", air=air.address) for number in range(boards)]
        for board in fleet:
            await provision(board)
        async with running_cloud(tmp_path / "cloud") as cloud:
            config = write_config(tmp_path, [f"ble://{board.device_id.hex()}" for board in fleet], cloud.url, max_records=64)
            async with running_gateway(config):
                disturbing = asyncio.create_task(disturb(air))
                produced = [await feed(board, windows) for board in fleet]
                await disturbing
                # A board has room for one host in the air: others come through the gateway that holds it.
                for board in fleet:
                    assert await asks_through_gateway(f"ble://{board.device_id.hex()}") == board.device_id
            async with running_gateway(config):
                everything = partial(cloud.has, stored=boards * windows)
                await wait_until(everything, "all records in the cloud")
            verdict = audit(await asyncio.to_thread(read_cloud, cloud.url), produced)
    assert verdict.is_exact, verdict
    assert verdict.produced == boards * windows
