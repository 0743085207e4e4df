"""A real board, the gateway and the cloud as processes: windows of unsure answers arrive once, over kills, and give their records again."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from hil_tests.conftest import CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, StartBoard
from hil_tests.test_windows import run_again
from tests.gateway.processes import Cloud, running_cloud, running_gateway, wait_until, write_config
from tinyfleet.device import open_device
from tinyfleet.gateway.edge.edge import confidence
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.record import Record, decode_record

WINDOWS = 60
WINDOW_BYTES = 2 * WINDOW_SAMPLES * CHANNELS
BELOW = 0.8
SEED = 41


def capture_table(budget_bytes: int) -> str:
    return f"\n[capture]\nbelow_confidence = {BELOW}\nbudget_bytes_per_day = {budget_bytes}\n"


def recording(seed: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Loud and quiet stretches: the model hands its input on, so it is sure of what is loud."""
    rng = np.random.default_rng(seed)
    hops = WINDOWS - 1 + WINDOW_SAMPLES // HOP_SAMPLES
    loudness = np.repeat(rng.choice([400, 400, 400, 5000], hops), HOP_SAMPLES)[:, None]
    return (rng.uniform(0.5, 1, (hops * HOP_SAMPLES, CHANNELS)) * loudness).astype(np.int16)


async def replay(url: str, stream: int) -> dict[int, Record]:
    """Feed a recording; all records that the board holds by seq."""
    async with open_device(url) as device:
        await device.replay(stream, recording(SEED + stream))
        pulled: list[bytes] = []
        while more := (await device.results(len(pulled), 100)).records:
            pulled += more
    return {record.seq: record for record in map(decode_record, pulled)}


def unsure(records: dict[int, Record]) -> set[int]:
    shares = {seq: confidence(record, DType.INT8) for seq, record in records.items()}
    return {seq for seq, share in shares.items() if share is not None and share < BELOW}


async def captures(cloud: Cloud) -> list[dict[str, Any]]:
    """What the cloud holds of kind ``capture``."""
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False, timeout=60) as client:
        rows = (await client.get("/v1/derived?limit=1000")).json()["derived"]
    return [row for row in rows if row["kind"] == "capture"]


async def windows_of(config: Path) -> dict[str, int]:
    """What the gateway's outbox says became of them."""
    command = [sys.executable, "-m", "tinyfleet", "gateway", "status", str(config), "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    (windows,) = json.loads(out)["outbox"]["windows"]
    return dict(windows)


async def test_windows_of_unsure_answers_arrive_once_over_kills_and_within_the_days_bytes(start_board: StartBoard, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    board = await asyncio.to_thread(start_board)
    async with running_cloud(tmp_path / "cloud") as cloud:
        records = await replay(board.url, 1)
        wanted = unsure(records)
        assert 10 < len(wanted) < WINDOWS - 10
        config = write_config(tmp_path, [board.url], cloud.url, outbox=capture_table(10**6))
        for kill in range(3):
            async with running_gateway(config) as gateway:
                # Any moment will do: a window is being fetched, was fetched, or is queued.
                await wait_until(lambda kill=kill: _has(cloud, 4 * (kill + 1)), "windows in the cloud")
                await gateway.kill()
        async with running_gateway(config):
            await wait_until(lambda: _has(cloud, len(wanted)), "all windows in the cloud")
            await wait_until(lambda: cloud.has(stored=WINDOWS), "all records in the cloud")
        found = await captures(cloud)
        assert sorted(row["first_seq"] for row in found) == sorted(wanted)
        for row in found:
            body = row["body"]
            samples = np.frombuffer(base64.b64decode(body["data"]), "<i2").reshape(-1, body["channels"])
            record = records[row["first_seq"]]
            assert body["dtype"] == "int16" and not body["needs_state"] and row["last_seq"] == record.seq and row["count"] == 0
            assert np.array_equal(samples, recording(SEED + 1)[record.sample_index :][:WINDOW_SAMPLES])
            assert run_again(samples.astype(np.int16)) == record.output
        counts = await windows_of(config)
        assert (counts["wanted"], counts["fetched"], counts["waiting"]) == (len(wanted), len(wanted), 0)
        assert counts["bytes"] == len(wanted) * WINDOW_BYTES

        # What the day has left is two windows, also for a gateway that has just been started. (Unless it ends just then.)
        write_config(tmp_path, [board.url], cloud.url, outbox=capture_table(counts["day_bytes"] + 2 * WINDOW_BYTES + 1))
        more = unsure(await replay(board.url, 2)) - wanted
        async with running_gateway(config):
            await wait_until(lambda: cloud.has(stored=2 * WINDOWS), "all records in the cloud")

            async def is_over() -> bool:
                now = await windows_of(config)
                return now["wanted"] == len(wanted) + len(more) and now["waiting"] == 0

            await wait_until(is_over, "every wish to end")
            after = await windows_of(config)
            await wait_until(lambda: _has(cloud, after["fetched"]), "those windows in the cloud")
        assert after["fetched"] + after["over_budget"] == after["wanted"] and len(await captures(cloud)) == after["fetched"]
        assert after["fetched"] == len(wanted) + 2 or after["day"] != counts["day"]
        summary = await cloud.summary()
        assert (summary["duplicated"], summary["alarms"], summary["stored"]) == (0, 0, 2 * WINDOWS)


async def _has(cloud: Cloud, count: int) -> bool:
    return len(await captures(cloud)) >= count
