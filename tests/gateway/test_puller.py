from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.fake_board import MODEL_ID, FakeBoard
from tests.gateway.processes import wait_until
from tests.host.peer import tcp_peer
from tests.support.patience import HANG_S
from tinyfleet.device import Device, Results, open_device
from tinyfleet.gateway.config import DeviceSettings
from tinyfleet.gateway.outbox import Outbox
from tinyfleet.gateway.puller import Puller, check_results
from tinyfleet.gateway.status import DeviceStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.telemetry import Envelope
from tinyfleet_codegen.errors import LinkTimeout, ProtocolError
from tinyfleet_codegen.wire.ids import Command, SmpGroup
from tinyfleet_codegen.wire.record import decode_record


class Bench:
    """Pullers on one outbox, without a sink."""

    def __init__(self, folder: Path) -> None:
        self.store = StoreThread(Outbox(folder / "outbox.db", gateway_id="gw"))
        self.claims: dict[bytes, str] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def pull(self, url: str, *, opener: object = open_device) -> DeviceStatus:
        status = DeviceStatus(url)
        settings = DeviceSettings(url=url, timeout_s=HANG_S, poll_s=0.01, max_records=7)
        puller = Puller(settings, opener=opener, store=self.store, on_commit=lambda: None, claims=self.claims, status=status)  # type: ignore[arg-type]
        self.tasks.append(asyncio.create_task(puller.run()))
        return status

    async def rows(self) -> list[Envelope]:
        return await self.store.call(lambda outbox: outbox.batch("http", 5000, 2**30).records)

    async def wait_for_rows(self, count: int) -> list[Envelope]:
        async def enough() -> bool:
            return len(await self.rows()) >= count

        await wait_until(enough, f"{count} records in the outbox")
        return await self.rows()


@asynccontextmanager
async def bench_in(folder: Path) -> AsyncIterator[Bench]:
    bench = Bench(folder)
    try:
        yield bench
    finally:
        for task in bench.tasks:
            task.cancel()
        await asyncio.gather(*bench.tasks, return_exceptions=True)
        bench.store.close()


async def test_records_get_time_error_and_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyfleet.gateway.puller.CLOCK_INTERVAL_S", math.inf)  # the board's clock stands still: measured once
    board = FakeBoard()
    board.produce(20)
    began_ns = time.monotonic_ns()
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        bench.pull(url)
        rows = await bench.wait_for_rows(20)
    assert [e.record for e in rows] == [board.history[1, seq] for seq in range(20)]
    assert {e.model_id for e in rows} == {MODEL_ID}
    times = [e.time_utc_us for e in rows]
    assert all(b is not None and a is not None and b - a == 100_000 for a, b in itertools.pairwise(times))
    took_us = (time.monotonic_ns() - began_ns) // 1000
    assert all(e.time_error_us is not None and 0 < e.time_error_us < took_us for e in rows)


async def test_new_model_generation_is_asked_for(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(5)
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        bench.pull(url)
        await bench.wait_for_rows(5)
        board.model_id, board.generation = b"N" * 32, 2
        board.produce(5)
        rows = await bench.wait_for_rows(10)
    assert [e.model_id for e in rows] == [MODEL_ID] * 5 + [b"N" * 32] * 5


async def test_cut_connection_is_opened_again_and_continues(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(10)
    async with tcp_peer(board) as (url, cut), bench_in(tmp_path) as bench:
        status = bench.pull(url)
        await bench.wait_for_rows(10)
        cut()
        await wait_until(lambda: status.failures == 1, "the failure to be counted")
        board.produce(10)
        rows = await bench.wait_for_rows(20)
    assert [decode_record(e.record).seq for e in rows] == list(range(20))


async def test_stuck_device_does_not_delay_another(tmp_path: Path) -> None:
    stuck, lively = FakeBoard(), FakeBoard()
    stuck.produce(10)
    lively.produce(100)
    # It is opened and identified, and then never answers a pull.
    results = (0, int(SmpGroup.TINYFLEET), int(Command.RESULTS))
    key = next(k for k in stuck.handlers if (int(k[0]), k[1], k[2]) == results)
    stuck.handlers[key] = lambda _: None
    async with AsyncExitStack() as stack:
        stuck_url, _ = await stack.enter_async_context(tcp_peer(stuck))
        lively_url, _ = await stack.enter_async_context(tcp_peer(lively))
        bench = await stack.enter_async_context(bench_in(tmp_path))
        first = bench.pull(stuck_url)
        bench.pull(lively_url)
        rows = await bench.wait_for_rows(100)
    assert {e.identity.device_id for e in rows} == {lively.device_id}
    assert first.failures == 0  # still in its first request


async def test_same_identity_on_two_ports_is_refused_on_the_second(tmp_path: Path) -> None:
    boards = [FakeBoard(b"same" * 4), FakeBoard(b"same" * 4)]
    async with AsyncExitStack() as stack:
        urls = [(await stack.enter_async_context(tcp_peer(b)))[0] for b in boards]
        bench = await stack.enter_async_context(bench_in(tmp_path))
        first = bench.pull(urls[0])
        await wait_until(lambda: first.state == "connected", "the first port")
        second = bench.pull(urls[1])
        await wait_until(lambda: second.last_error is not None, "the second port to be refused")
        assert second.last_error is not None and f"already answers on {urls[0]}" in second.last_error
        assert first.failures == 0


async def test_board_without_identity_is_refused(tmp_path: Path) -> None:
    board = FakeBoard()
    board.device_id = bytes(16)
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        status = bench.pull(url)
        await wait_until(lambda: status.last_error is not None, "the refusal")
        assert status.last_error is not None and "no identity" in status.last_error


async def test_a_bug_with_one_device_is_retried_not_fatal(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(3)
    calls = 0

    @asynccontextmanager
    async def faulty(url: str, *, timeout_s: float = 5.0) -> AsyncIterator[Device]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        if calls == 2:
            raise LinkTimeout("no answer")
        async with open_device(url, timeout_s=timeout_s) as device:
            yield device

    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        status = bench.pull(url, opener=faulty)
        await bench.wait_for_rows(3)
    assert status.failures == 2


@pytest.mark.parametrize(
    ("since", "lost", "seqs", "next_seq", "is_good"),
    [
        (0, 0, (0, 1, 2), 3, True),
        (5, 0, (), 5, True),
        (0, 4, (4, 5), 6, True),
        (0, 0, (0, 2), 3, False),
        (0, 0, (1, 2), 3, False),
        (0, 0, (0, 1), 3, False),
        (0, 0, (0, 0), 2, False),
        (2, 0, (1, 2), 3, False),
    ],
)
def test_reply_with_a_hole_that_lost_does_not_explain_is_refused(
    since: int, lost: int, seqs: tuple[int, ...], next_seq: int, is_good: bool
) -> None:
    board = FakeBoard()
    board.produce(10)
    results = Results(1, board.device_id, next_seq, lost, tuple(board.history[1, s] for s in seqs))
    if is_good:
        assert [r.seq for r in check_results(results, since)] == list(seqs)
    else:
        with pytest.raises(ProtocolError):
            check_results(results, since)
