"""Boards with real firmware, the gateway and the cloud as processes: every record arrives once, over restarts of all of them."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from hil_tests.conftest import CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, StartBoard, small_package
from tests.gateway.processes import running_cloud, running_gateway, wait_until, write_config
from tinyfleet.cloud.audit import BoardCount, audit, read_cloud
from tinyfleet.device import open_device
from tinyfleet.emulator import EmulatedBoard

WINDOWS = 60
SLACK_US = 30_000_000
TIMEOUT_S = 40.0
LAUNCHES = 3


def now_us() -> int:
    return time.time_ns() // 1000


def instant_us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


async def replay(board: EmulatedBoard, stream: int) -> BoardCount:
    """Feed a recording; returns what the board's own counter says."""
    count = (WINDOW_SAMPLES + (WINDOWS - 1) * HOP_SAMPLES) * CHANNELS
    samples = np.random.default_rng(stream).integers(-2000, 2000, count).astype(np.int16).reshape(-1, CHANNELS)
    async with open_device(board.url, timeout_s=TIMEOUT_S) as device:
        await device.replay(stream, samples)
        hello, stats = await device.hello(), await device.stats()
    return BoardCount(hello.device_id, hello.boot_id, stats.records)


async def test_two_boards_of_one_image_over_relaunches_and_kills_arrive_exactly_once(start_board: StartBoard, tmp_path: Path) -> None:
    produced: list[BoardCount] = []
    async with running_cloud(tmp_path / "cloud") as cloud:
        for launch in range(LAUNCHES):
            boards = [await asyncio.to_thread(start_board, nvm=f"{name}.nvm") for name in ("one", "two")]
            produced += [await replay(board, stream=1 + launch) for board in boards]
            config = write_config(tmp_path, [board.url for board in boards], cloud.url)
            async with running_gateway(config) as gateway:
                if launch == 1:
                    await cloud.kill()
                    await gateway.kill()
                    await cloud.start()
            async with running_gateway(config):
                await wait_until(partial(cloud.has, stored=WINDOWS * 2 * (launch + 1)), "all records in the cloud")
            for board in boards:
                board.kill()
        verdict = audit(await asyncio.to_thread(read_cloud, cloud.url), produced)
        rows = (await asyncio.to_thread(read_cloud, cloud.url)).rows
    assert verdict.is_exact, verdict
    assert verdict.produced == WINDOWS * 2 * LAUNCHES
    assert len({p.device_id for p in produced}) == 2
    assert sorted({p.boot_id for p in produced}) == [1, 2, 3]
    assert len({row.identity for row in rows}) == len(rows)


async def test_records_carry_the_model_and_a_time_near_now(start_board: StartBoard, tmp_path: Path) -> None:
    board = await asyncio.to_thread(start_board)
    begun = now_us()
    count = await replay(board, stream=1)
    made = now_us()
    async with running_cloud(tmp_path / "cloud") as cloud, running_gateway(write_config(tmp_path, [board.url], cloud.url)):
        await wait_until(lambda: cloud.has(stored=count.produced), "all records in the cloud")
        records = await cloud.records()
    assert {r["model_id"] for r in records} == {small_package().model_id.hex()}
    # The error is what the gateway says that it may be: half of a round trip, which a machine that stands still makes longer.
    spans = [(instant_us(r["time_utc"]) - r["time_error_us"], instant_us(r["time_utc"]) + r["time_error_us"]) for r in records]
    assert all(0 < r["time_error_us"] < now_us() - begun for r in records)
    assert all(later[1] >= earlier[0] for earlier, later in pairwise(spans))
    # A board that was stopped while it was busy runs late, and knows nothing of it.
    assert all(begun - SLACK_US <= last and first <= made + SLACK_US for first, last in spans)
