"""What the edge remembers: an older state is read, a newer one refused, a damaged one put aside alone; and who looks after it sleeps."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.processes import wait_until
from tests.gateway.test_edge import DEVICE, DTYPES, pulled, record
from tests.support.mutate import seed_bug
from tinyfleet.database import open_database, transaction
from tinyfleet.gateway.edge import Edge, FilterSettings, RuleSettings, WindowSettings, check_state
from tinyfleet.gateway.edge.closing import WindowCloser
from tinyfleet.gateway.outbox import CursorMoved, NewDerived, Outbox, PulledRecord, inspect_outbox
from tinyfleet.gateway.outbox_edge import EdgeStates
from tinyfleet.gateway.outbox_schema import MIGRATIONS, EdgeChange
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.telemetry import LossReport
from tinyfleet_codegen.errors import StoreError

WINDOW = WindowSettings(seconds=60.0)
EDGE = Edge(filter=FilterSettings(classes=(5,), max_per_s=1.0), window=WINDOW, rules=[RuleSettings(name="fall", classes=(5,), count=2)])
KEYS = (None, bytes(range(32)))


def opened(folder: Path, key: bytes | None = None, clock_s: Callable[[], float] = lambda: 0.0) -> Outbox:
    return Outbox(
        folder / "outbox.db", gateway_id="gw", check_edge=check_state, key=None if key is None else lambda _: key, clock_s=clock_s
    )


def pull(outbox: Outbox, first: int, count: int, *, boot_id: int = 1, tops: tuple[int, ...] = (0,)) -> None:
    """Records of a device go through the edge into the outbox."""
    records = [record(seq, top=tops[seq % len(tops)]) for seq in range(first, first + count)]
    made = EDGE.process(outbox.edges.of(DEVICE, boot_id), pulled(records), records, DTYPES)
    outbox.append(
        DEVICE, boot_id, made.records, since=first, next_seq=first + count, lost=0,
        filtered=made.filtered, derived=made.derived, edge=made.change,
    )  # fmt: skip


def spoil(folder: Path, change: Callable[[bytes], bytes]) -> None:
    """Change what is on the disk."""
    with sqlite3.connect(folder / "outbox.db") as db:
        (state,) = db.execute("SELECT state FROM edge").fetchone()
        db.execute("UPDATE edge SET state = ?", (change(state),))
    db.close()


def dumped(folder: Path) -> list[str]:
    """All rows of all tables; SQLite itself counts openings in the file's head."""
    with sqlite3.connect(folder / "outbox.db") as db:
        lines = list(db.iterdump())
    db.close()
    return lines


def flip(state: bytes) -> bytes:
    return state[:20] + bytes([state[20] ^ 1]) + state[21:]


@pytest.mark.parametrize("key", KEYS)
def test_state_of_a_newer_version_is_refused_and_nothing_is_changed(tmp_path: Path, key: bytes | None) -> None:
    outbox = opened(tmp_path, key)
    outbox.append(DEVICE, 1, [], since=0, next_seq=5, lost=0, edge=EdgeChange(None, b'{"version":2,"what":"nobody knows"}'))
    outbox.close()
    before = dumped(tmp_path)
    with pytest.raises(StoreError, match="the edge remembers has version 2, this code reads up to 1; nothing was changed") as refused:
        opened(tmp_path, key)
    assert refused.value.hint is not None and "update tinyfleet" in refused.value.hint
    assert dumped(tmp_path) == before


@pytest.mark.parametrize(("key", "damage"), [(KEYS[1], flip), (None, lambda _: b"{}"), (None, lambda s: s.replace(b"classes", b"klasses"))])
@pytest.mark.parametrize("found_by", ["the puller", "its commit", "who closes windows"])
def test_damaged_state_is_put_aside_alone_and_what_it_held_is_declared(
    tmp_path: Path, key: bytes | None, damage: Callable[[bytes], bytes], found_by: str
) -> None:
    outbox = opened(tmp_path, key)
    pull(outbox, 0, 12, tops=(0, 0, 0, 5))  # every fourth is delivered, one a second: seq 3
    delivered = len(outbox.batch("http", 100, 2**20).records)
    assert delivered == 1
    known = outbox.edges.of(DEVICE, 1)
    outbox.close()
    spoil(tmp_path, damage)
    damaged = sqlite3.connect(tmp_path / "outbox.db").execute("SELECT state FROM edge").fetchone()[0]
    outbox = opened(tmp_path, key)
    if found_by == "its commit":
        with pytest.raises(CursorMoved):
            outbox.append(DEVICE, 1, [], since=12, next_seq=13, lost=0, edge=EdgeChange(known, known))
    elif found_by == "who closes windows":
        assert outbox.edges.close(EDGE.close, 0.0) == 1  # there is an alarm to deliver
    assert outbox.edges.of(DEVICE, 1) is None
    assert (tmp_path / "edge.damaged-1").read_bytes() == damaged
    assert outbox.depth().edges_put_aside == 1
    batch = outbox.batch("http", 100, 2**20)
    assert [r.identity.seq for r in batch.records] == [3]
    assert batch.reports == (LossReport(DEVICE, 1, lost=0, dropped=11, filtered=0),)
    found = {d.kind: d for d in batch.derived if d.kind in ("gap", "alarm")}
    gap = found["gap"]
    assert (gap.device_id, gap.first_seq, gap.last_seq, gap.count, json.loads(gap.body)) == (
        DEVICE,
        0,
        11,
        11,
        {"reason": "edge state damaged"},
    )
    alarm = json.loads(found["alarm"].body)
    assert (alarm["reason"], alarm["records"], alarm["kept_in"]) == ("edge state damaged", 11, "edge.damaged-1")
    assert [(b.next_seq, b.pulled, b.dropped) for b in outbox.boots()] == [(12, 12, 11)]
    pull(outbox, 12, 4)  # and on it goes
    assert outbox.edges.close(EDGE.close, 0.0) == 1
    assert [(b.next_seq, b.pulled) for b in outbox.boots()] == [(16, 16)]
    outbox.close()


def test_outbox_of_version_2_is_looked_at_and_opened_with_what_its_edge_remembered(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    db = open_database(path, MIGRATIONS[:2], what="outbox")
    records = [record(seq) for seq in range(5)]
    change = EDGE.process(None, pulled(records), records, DTYPES).change
    assert change is not None
    with transaction(db):
        db.execute("INSERT INTO outbox VALUES (?)", (bytes(16),))
        db.execute("INSERT INTO boot (device_id, boot_id, next_seq) VALUES (?, 1, 5)", (DEVICE,))
        db.execute("INSERT INTO edge VALUES (1, ?, 0, NULL, 0)", (change.after,))
    db.close()
    depth, boots = inspect_outbox(path)
    assert (depth.targets, boots[0].next_seq) == ((), 5)
    outbox = opened(tmp_path)
    assert outbox.edges.of(DEVICE, 1) == change.after and outbox.edges.due_s(0.0) == 0.0
    assert outbox.edges.close(EDGE.close, 0.0) == 1
    assert [(b.next_seq, b.pulled) for b in outbox.boots()] == [(5, 5)]
    outbox.close()


async def test_pulling_goes_on_when_the_state_is_damaged_meanwhile(tmp_path: Path) -> None:
    outbox = opened(tmp_path, KEYS[1])
    pull(outbox, 0, 5)
    spoil(tmp_path, flip)
    with pytest.raises(CursorMoved):
        outbox.append(DEVICE, 1, [], since=5, next_seq=6, lost=0, edge=EdgeChange(b"what the puller has in memory", None))
    pull(outbox, 5, 3)
    assert [(b.next_seq, b.pulled, b.dropped) for b in outbox.boots()] == [(8, 5, 5)]
    outbox.close()


class Clock:
    """Waits are asked of the test, which says how long they took."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked: list[float | None] = []
        self._over = asyncio.Event()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        self.asked.append(seconds)
        over = asyncio.create_task(self._over.wait())
        news = asyncio.create_task(event.wait())
        await asyncio.wait([over, news], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        news.cancel()
        self._over.clear()

    def passes_until(self, now_s: float) -> None:
        """The time that was waited for is over."""
        self.now_s = now_s
        self._over.set()


async def test_who_closes_windows_sleeps_until_one_is_due(tmp_path: Path) -> None:
    clock, edge, closed = Clock(), Edge(), 0
    store = StoreThread(opened(tmp_path, clock_s=lambda: clock.now_s))

    def on_closed() -> None:
        nonlocal closed
        closed += 1

    closer = WindowCloser(store, lambda: edge, on_closed, wait=clock.wait)
    task = asyncio.create_task(closer.run())

    async def commit(seq: int) -> None:
        await store.call(lambda o: pull(o, seq, 1))
        closer.committed()

    async def looked(times: int) -> None:
        await wait_until(lambda: len(clock.asked) == times, f"{times} looks")

    # No windows: it looks once, for what an earlier configuration left, and never again, whatever is committed.
    await looked(1)
    for seq in range(50):
        await store.call(lambda o: o.append(DEVICE, 9, [PulledRecord(seq, b"r", 0, 0, None)], since=seq, next_seq=seq + 1, lost=0))  # noqa: B023
        closer.committed()
    assert clock.asked == [None] and closer.looks == 1
    # A window is opened: due when nothing came for twice its length. What comes meanwhile wakes nobody.
    edge = EDGE
    closer.reconfigured()
    await looked(2)
    await commit(0)
    await looked(3)
    for seq in range(1, 50):
        clock.now_s = float(seq)
        await commit(seq)
    assert clock.asked == [None, None, 120.0] and closer.looks == 3
    clock.passes_until(120.0)
    await looked(4)
    assert clock.asked[3] == 49.0 and closed == 0
    clock.passes_until(169.0)
    await looked(5)
    assert clock.asked[4] is None and closed == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    totals = await store.call(lambda o: [(b.next_seq, b.pulled) for b in o.boots() if b.boot_id == 1])
    assert totals == [(50, 50)]
    store.close()


async def test_window_opened_while_it_looks_is_not_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    store = StoreThread(opened(tmp_path, clock_s=lambda: clock.now_s))
    closer = WindowCloser(store, lambda: EDGE, lambda: None, wait=clock.wait)
    look = closer._edge

    def edge() -> Edge:
        # Between its look and its sleep a commit comes.
        if closer.looks == 0:
            asyncio.get_running_loop().call_soon(closer.committed)
        return look()

    closer._edge = edge
    task = asyncio.create_task(closer.run())
    await wait_until(lambda: bool(clock.asked), "sleep")
    assert closer.looks == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    store.close()


def test_nothing_is_kept_for_what_is_no_longer_configured(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    pull(outbox, 0, 8, tops=(5,))
    state = outbox.edges.of(DEVICE, 1)
    records = [record(8)]
    made = Edge().process(state, pulled(records), records, DTYPES)
    assert made.change is not None and made.change.after is None and [d.kind for d in made.derived] == ["window"]
    assert isinstance(made.derived[0], NewDerived)
    outbox.close()


MUTANTS: dict[str, tuple[Callable[..., object], str, str]] = {
    "what waited is not declared": (EdgeStates._put_aside, "self._drop(boot, count)", "pass"),
    "no gap": (EdgeStates._put_aside, "[NewDerived(GAP, body, 0, next_seq - 1, count)]", "[]"),
    "no alarm": (EdgeStates._put_aside, "[NewDerived(ALARM, body, priority=ALARM_PRIORITY)]", "[]"),
    "gone, not kept": (EdgeStates._put_aside, "kept_in = self._keep(stored)", "kept_in = ''"),
    "not looked at": (EdgeStates._read, "self._check(state)", "pass"),
    "overwritten by a commit": (EdgeStates.change, "if before != change.before:", "if False:"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_seeded_bug_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_bug(monkeypatch, MUTANTS[name])
    found_by = "its commit" if name == "overwritten by a commit" else "the puller"
    with pytest.raises((AssertionError, KeyError, OSError, ValueError, pytest.fail.Exception)):
        test_damaged_state_is_put_aside_alone_and_what_it_held_is_declared(tmp_path, None, lambda _: b"{}", found_by)
