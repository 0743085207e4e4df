"""The property that the gateway exists for, with real processes: every record is in the cloud exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import Cloud, running_cloud, running_gateway, wait_until, write_config
from tests.host.peer import tcp_peer
from tests.support.patience import HANG_S
from tinyfleet.cloud.audit import Audit, BoardCount, audit, read_cloud
from tinyfleet.device import open_device
from tinyfleet.gateway import Gateway, Outbox, load_config
from tinyfleet.gateway.outbox import NewDerived, PulledRecord
from tinyfleet.telemetry import RecordIdentity

VICTIMS = ("gateway", "gateway", "cloud", "both")
SEED = int(os.environ.get("TINYFLEET_TEST_SEED", "20260131"))


async def the_cloud_holds(cloud: Cloud, count: int) -> None:
    await wait_until(lambda: cloud.has(stored=count), f"{count} records in the cloud")


async def audit_of(cloud: Cloud, boards: Sequence[FakeBoard]) -> Audit:
    counts = [
        BoardCount(b.device_id, boot_id, sum(1 for boot, _ in b.history if boot == boot_id))
        for b in boards
        for boot_id in sorted({boot for boot, _ in b.history})
    ]
    records = {RecordIdentity(b.device_id, boot, seq): data for b in boards for (boot, seq), data in b.history.items()}
    return audit(await asyncio.to_thread(read_cloud, cloud.url), counts, records=records)


async def test_sigkill_of_gateway_and_cloud_loses_and_doubles_nothing(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    board = FakeBoard(rng.randbytes(16))
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        config = write_config(tmp_path, [url], cloud.url)
        for kill, victim in enumerate(rng.sample(VICTIMS, len(VICTIMS))):
            board.produce(rng.randint(50, 400))
            async with running_gateway(config) as gateway:
                # The moment is what is drawn; nothing waits for it.
                await asyncio.sleep(rng.uniform(0.0, 0.6))
                print(f"kill {kill}: {victim}")
                if victim != "gateway":
                    await cloud.kill()
                if victim != "cloud":
                    await gateway.kill()
                else:
                    board.produce(rng.randint(1, 50))
                    await asyncio.sleep(rng.uniform(0.0, 0.4))
                    await gateway.kill()
            if victim != "gateway":
                await cloud.start()
        async with running_gateway(config) as gateway:
            await the_cloud_holds(cloud, board.produced)
            assert await gateway.stop() == 0
        verdict = await audit_of(cloud, [board])
    print(verdict)
    assert verdict.is_exact, verdict
    assert verdict.stored == verdict.produced == board.produced


async def test_two_boards_of_one_image_over_restarts_never_share_an_identity(tmp_path: Path) -> None:
    boards = [FakeBoard(), FakeBoard()]
    async with AsyncExitStack() as stack:
        urls = [(await stack.enter_async_context(tcp_peer(b)))[0] for b in boards]
        cloud = await stack.enter_async_context(running_cloud(tmp_path / "cloud"))
        await stack.enter_async_context(running_gateway(write_config(tmp_path, urls, cloud.url)))
        for boot in (1, 2, 3):
            for b in boards:
                b.produce(40)
            await the_cloud_holds(cloud, boot * 80)
            for b in boards:
                b.restart()
        verdict = await audit_of(cloud, boards)
    assert verdict.is_exact, verdict
    assert (verdict.produced, verdict.redelivered) == (240, 0)


async def test_answer_lost_after_the_commit_leads_to_one_suppressed_redelivery(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(10)
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        async with _answer_thief(cloud) as (proxy_url, stolen), running_gateway(write_config(tmp_path, [url], proxy_url)):
            await asyncio.wait_for(stolen.wait(), HANG_S)
            assert cloud.service is not None and cloud.service.process.returncode is not None
            await cloud.start()
            await wait_until(lambda: cloud.has(redelivered=1), "the batch again")
            await the_cloud_holds(cloud, 10)
        verdict = await audit_of(cloud, [board])
    assert verdict.is_exact, verdict
    assert 1 <= verdict.redelivered <= 10


@asynccontextmanager
async def _answer_thief(cloud: Cloud) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to the cloud that kills it after its first commit and before its answer arrives."""
    stolen = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", cloud.port)
            upward = asyncio.create_task(_copy(reader, up_writer))
            while data := await up_reader.read(65536):
                if not stolen.is_set():
                    await cloud.kill()
                    stolen.set()
                    break
                writer.write(data)
                await writer.drain()
            upward.cancel()
            up_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", stolen
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@pytest.mark.parametrize(
    ("mutation", "finding"),
    [
        ("drops", {"lost": 1, "duplicated": 0, "wrong": 0}),
        ("doubles", {"lost": 0, "duplicated": 1, "wrong": 0}),
        ("damages", {"lost": 0, "duplicated": 0, "wrong": 1}),
        ("none", {"lost": 0, "duplicated": 0, "wrong": 0}),
    ],
)
async def test_audit_finds_what_a_faulty_outbox_does(
    mutation: str, finding: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intact = Outbox._insert

    def insert(self: Outbox, boot: int | None, records: Sequence[PulledRecord], derived: Sequence[NewDerived], region: str | None) -> None:
        kept: list[PulledRecord] = []
        for r in records:
            if r.seq != 20 or mutation == "none":
                kept.append(r)
            elif mutation == "doubles":
                kept += [r, r]
            elif mutation == "damages":
                damaged = r.record[:-1] + bytes([r.record[-1] ^ 1])
                kept.append(PulledRecord(r.seq, damaged, r.time_utc_us, r.time_error_us, r.model_id))
        intact(self, boot, kept, derived, region)

    monkeypatch.setattr(Outbox, "_insert", insert)
    board = FakeBoard()
    board.produce(50)
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        gateway = Gateway(load_config(write_config(tmp_path, [url], cloud.url)), open_device)
        running = asyncio.create_task(gateway.run())
        await the_cloud_holds(cloud, 49 if mutation == "drops" else 50)
        gateway.stop()
        await asyncio.wait_for(running, HANG_S)
        verdict = await audit_of(cloud, [board])
    assert {name: getattr(verdict, name) for name in finding} == finding, verdict
    assert verdict.is_exact == (mutation == "none")


async def test_board_whose_boot_counter_was_set_back_raises_alarms(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(30)
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        async with running_gateway(write_config(tmp_path, [url], cloud.url)):
            await the_cloud_holds(cloud, 30)
            board.restart()
            board.boot_id = 1
            board.produce(20, salt=1)
            await wait_until(lambda: cloud.has(alarms=20), "an alarm for each clash")
        summary = await cloud.summary()
    assert (summary["stored"], summary["duplicated"], summary["alarms"]) == (30, 0, 20)


async def test_records_that_the_ring_overwrote_are_reported_as_lost(tmp_path: Path) -> None:
    board = FakeBoard(ring_records=16)
    board.produce(50)
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        async with running_gateway(write_config(tmp_path, [url], cloud.url)):
            await the_cloud_holds(cloud, 16)
            await wait_until(lambda: cloud.has(lost=34), "34 lost records in the cloud's summary")
        verdict = await audit_of(cloud, [board])
    assert (verdict.produced, verdict.stored, verdict.lost, verdict.dropped) == (50, 16, 34, 0)
    assert not verdict.is_exact
