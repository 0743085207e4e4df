"""A gateway whose configuration changes, or whose outbox is damaged, while it runs."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import Cloud, running_cloud, running_gateway, wait_until, write_config
from tests.host.peer import tcp_peer
from tests.support.patience import HANG_S
from tinyfleet.cloud.audit import BoardCount, audit, read_cloud
from tinyfleet.cloud.store import CLOUD_FILE, CloudStore
from tinyfleet.device import open_device
from tinyfleet.gateway import Gateway, load_config
from tinyfleet.gateway.outbox import OUTBOX_FILE, Outbox, inspect_outbox
from tinyfleet.telemetry import RecordIdentity
from tinyfleet_codegen.errors import StoreDamaged


@asynccontextmanager
async def relaying(path: Path) -> AsyncIterator[Gateway]:
    """A gateway in this process."""
    gateway = Gateway(load_config(path), open_device, reread=lambda: load_config(path))
    ready = asyncio.Event()
    task = asyncio.create_task(gateway.run(ready.set))
    try:
        await asyncio.wait_for(ready.wait(), HANG_S)
        yield gateway
        gateway.stop()
        await asyncio.wait_for(task, HANG_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def everything_is_there_once(cloud: Cloud, board: FakeBoard) -> None:
    await wait_until(lambda: cloud.has(stored=len(board.history)), "all records in the cloud")
    records = {RecordIdentity(board.device_id, *key): data for key, data in board.history.items()}
    verdict = audit(await asyncio.to_thread(read_cloud, cloud.url), [BoardCount(board.device_id, 1, board.produced)], records=records)
    assert verdict.is_exact, verdict


async def test_records_go_on_while_the_configuration_is_read_again_and_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    board = FakeBoard()
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud, running_cloud(tmp_path / "second") as second:
        path = write_config(tmp_path, [url], cloud.url)
        first = path.read_text(encoding="utf-8")
        both = first.replace("version = 1", "version = 2") + f'\n[[sink]]\ntype = "http"\nname = "second"\nurl = "{second.url}"\n'
        async with relaying(path) as gateway:
            for text, says in (
                (both, "sinks=http,second"),
                ("version = 2\n", "the old one goes on"),
                (both.replace('id = "test-gateway"', 'id = "other"'), "gateway.id = 'other': was 'test-gateway' when the gateway started"),
                (both.replace("poll_s = 0.02", "poll_s = 0.03"), "configuration reloaded"),
                (both.replace('name = "second"', 'name = "second"\ntoken_file = "absent"'), "sink second: token_file: cannot read"),
            ):
                board.produce(40)
                caplog.clear()
                path.write_text(text, encoding="utf-8")
                gateway.reload()
                await wait_until(lambda says=says: says in caplog.text, says)
                assert sum(r.levelno == logging.ERROR for r in caplog.records) == ("reloaded" not in says and "sinks=" not in says)
            await everything_is_there_once(cloud, board)
            await wait_until(lambda: second.has(stored=1), "the new sink's records")
            path.write_text(first, encoding="utf-8")
            gateway.reload()
            await wait_until(lambda: "sinks=http\n" in caplog.text, "one sink again")
            board.produce(20)
            await everything_is_there_once(cloud, board)
        depth, _ = inspect_outbox(tmp_path / "gateway data" / OUTBOX_FILE)
        assert [(s.name, s.waiting, s.dropped) for s in depth.sinks] == [("http", 0, 0)]


async def test_sighup_makes_the_process_read_its_configuration_again(tmp_path: Path) -> None:
    board, late = FakeBoard(), FakeBoard()
    board.produce(10)
    late.produce(10)
    async with (
        tcp_peer(board) as (url, _),
        tcp_peer(late) as (late_url, _),
        running_cloud(tmp_path / "cloud") as cloud,
        running_gateway(write_config(tmp_path, [url], cloud.url)) as running,
    ):
        await wait_until(lambda: cloud.has(stored=10), "the first device's records")
        write_config(tmp_path, [url, late_url], cloud.url)
        running.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: cloud.has(stored=20), "the second device's records")
        assert await running.stop() == 0


async def alarms(cloud: Cloud, tmp_path: Path) -> list[bytes]:
    """Bodies of the alarms that came upstream."""
    store = CloudStore(tmp_path / "cloud" / CLOUD_FILE)
    try:
        return [row[0] for row in store._db.execute("SELECT body FROM derived WHERE kind = 'alarm'")]
    finally:
        store.close()


@pytest.mark.parametrize("when", ["before the start", "while it runs"])
async def test_damaged_outbox_is_put_aside_and_an_alarm_goes_upstream(
    when: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = FakeBoard()
    board.produce(30)
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        path = write_config(tmp_path, [url], cloud.url)
        outbox = tmp_path / "gateway data" / OUTBOX_FILE
        async with relaying(path):
            await wait_until(lambda: cloud.has(stored=30), "the first records")
            if when == "while it runs":
                # What it has read of the file it has in memory; the error that comes one day is brought in here.
                with monkeypatch.context() as patch:
                    patch.setattr(Outbox, "append", _malformed)
                    board.produce(10)
                    await wait_until(lambda: "put aside" in caplog.text, "a new outbox")
                await wait_until(lambda: cloud.has(stored=40, derived=1), "new records and the alarm in the cloud")
        if when == "before the start":
            _damage(outbox)
            board.produce(10)
            async with relaying(path):
                await wait_until(lambda: cloud.has(stored=40, derived=1), "new records and the alarm in the cloud")
        found = await alarms(cloud, tmp_path)
        assert found and all(b"outbox damaged" in body for body in found)
        summary = await cloud.summary()
    assert "put aside, a new one is started" in caplog.text
    assert (outbox.parent / "outbox.damaged-1" / OUTBOX_FILE).exists()
    # What the device still held came again, and was known.
    assert (summary["stored"], summary["alarms"]) == (40, 0) and summary["duplicated"] > 0


def _malformed(self: Outbox, *_: Any, **__: Any) -> int:
    raise StoreDamaged(f"outbox {self.path}: database disk image is malformed")


def _damage(outbox: Path) -> None:
    """Every page but the first, and the log, become noise, as a dying disk does it."""
    data = outbox.read_bytes()
    with outbox.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (len(data) - 4096))
    log = outbox.with_name(f"{OUTBOX_FILE}-wal")
    if log.exists():
        with log.open("r+b") as file:
            file.write(b"\xff" * log.stat().st_size)
