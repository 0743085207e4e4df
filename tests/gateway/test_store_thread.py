from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.test_outbox import A, B, largest_file, pulled
from tests.support.patience import HANG_S
from tinyfleet.gateway.outbox import CursorMoved, Outbox
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet_codegen.errors import StoreDamaged, StoreFull


def appending(device: bytes, since: int, count: int) -> Callable[[Outbox], int]:
    return lambda outbox: outbox.append(device, 1, pulled(since, count), since=since, next_seq=since + count, lost=0)


async def while_the_disk_is_busy(store: StoreThread, calls: list[Callable[[Outbox], int]]) -> list[int | BaseException]:
    """Make all the calls wait behind one that does not end before they are there."""
    busy = threading.Event()
    first = asyncio.create_task(store.call(lambda _: busy.wait(HANG_S)))
    waiting = [asyncio.create_task(store.call(call)) for call in calls]
    await asyncio.sleep(0)
    busy.set()
    await first
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_calls_that_wait_are_committed_together_and_fail_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(tmp_path / "outbox.db", gateway_id="gw")
    statements: list[str] = []
    outbox._db.set_trace_callback(statements.append)
    store = StoreThread(outbox)
    calls = [appending(A, 0, 5), appending(A, 99, 5), appending(B, 0, 5), appending(A, 5, 5)]
    found = await while_the_disk_is_busy(store, calls)
    assert [isinstance(value, CursorMoved) for value in found] == [False, True, False, False]
    assert statements.count("COMMIT") == 1
    assert await store.call(lambda o: (o.cursor(A, 1), o.cursor(B, 1), o.depth().waiting)) == (10, 5, 15)
    store.close()


async def test_what_the_disk_does_not_take_together_is_tried_one_by_one(tmp_path: Path) -> None:
    store = StoreThread(Outbox(tmp_path / "outbox.db", gateway_id="gw", max_bytes=2**30))
    with largest_file(2**19):
        found = await while_the_disk_is_busy(store, [appending(A, 0, 20_000), appending(B, 0, 5)])
    assert isinstance(found[0], StoreFull) and found[1] == 0
    assert await store.call(lambda o: (o.cursor(A, 1), o.cursor(B, 1), o.depth().waiting)) == (0, 5, 5)
    store.close()


async def test_damage_is_told_once_for_each_call_that_meets_it(tmp_path: Path) -> None:
    def damaged(outbox: Outbox) -> int:
        raise StoreDamaged("malformed")

    told: list[StoreDamaged] = []
    store = StoreThread(Outbox(tmp_path / "outbox.db", gateway_id="gw"), told.append)
    found = await while_the_disk_is_busy(store, [damaged, damaged])
    store.close()
    assert all(isinstance(value, StoreDamaged) for value in found) and len(told) == 2


async def test_calls_that_wait_when_it_closes_are_cancelled(tmp_path: Path) -> None:
    store = StoreThread(Outbox(tmp_path / "outbox.db", gateway_id="gw"))
    busy = threading.Event()
    first = asyncio.create_task(store.call(lambda _: busy.wait(HANG_S)))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(store.close))
    await asyncio.sleep(0)
    busy.set()
    assert await first
    await closing
