"""What the outbox costs: writing against a bare ``sqlite3`` loop, and the time from a record to its acknowledgement.

Ratios are of one run on one disk: both loops take turns, so that what the disk does meanwhile happens to both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.database import LOG_PAGES
from tinyfleet.gateway.outbox import Outbox, PulledRecord, SinkPlace
from tinyfleet.gateway.sender import Sender
from tinyfleet.gateway.sinks.sink import Delivered
from tinyfleet.gateway.status import SinkStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.telemetry import Batch

RECORD_BYTES = 42
"""Of a record of the gesture recipe: header and six scores."""
TURNS = 8
DEVICE, MODEL = bytes(range(16)), bytes(range(32))
DELIVERY_RECORDS = 500
BOUND_BYTES = 2**40


@dataclass(frozen=True, slots=True)
class OutboxResult:
    """One run.

    Attributes:
        batch_records: Records in one commit.
        bare_hz: Records a second of a loop that inserts the same rows and commits, with the same pragmas.
        outbox_hz: Records a second of the outbox, cursor and all: durable when counted.
        ratio: Median over the turns of ``outbox_hz / bare_hz``.
        ack_p50_ms: From handing a record in until the sink's acceptance of it is committed, at ``ack_hz`` records a second.
        ack_p99_ms: The same.
        ack_hz: Records a second that were made.
    """

    batch_records: int
    bare_hz: float
    outbox_hz: float
    ratio: float
    ack_p50_ms: float
    ack_p99_ms: float
    ack_hz: float


def bench_outbox(
    folder: Path,
    *,
    batch_records: int = 500,
    turn_records: int = 20_000,
    ack_s: float = 20.0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> OutboxResult:
    """Run both; see :class:`OutboxResult`.

    Args:
        folder: Empty, on the disk that is meant.
        batch_records: Records in one commit.
        turn_records: Records that each of the two loops writes before it is the other's turn.
        ack_s: How long records are made for the latency.
        on_progress: Told what begins.
    """
    on_progress("writing, against a bare loop")
    bare_hz, outbox_hz, ratio = _write(folder, batch_records, turn_records)
    on_progress("latency of acknowledgements")
    latencies_s, ack_hz = asyncio.run(_acknowledge(folder, ack_s))
    latencies_s.sort()
    return OutboxResult(
        batch_records=batch_records,
        bare_hz=round(bare_hz),
        outbox_hz=round(outbox_hz),
        ratio=round(ratio, 3),
        ack_p50_ms=round(1e3 * latencies_s[len(latencies_s) // 2], 1),
        ack_p99_ms=round(1e3 * latencies_s[len(latencies_s) * 99 // 100], 1),
        ack_hz=round(ack_hz),
    )


def _pulled(first: int, count: int) -> list[PulledRecord]:
    made = os.urandom(RECORD_BYTES - 4)
    return [
        PulledRecord(s, made + (s % 2**32).to_bytes(4, "little"), 1_769_860_800_000_000 + s, 900, MODEL)
        for s in range(first, first + count)
    ]


def _append(outbox: Outbox, seq: int, records: list[PulledRecord]) -> None:
    outbox.append(DEVICE, 1, records, since=seq, next_seq=seq + len(records), lost=0)


def _write(folder: Path, batch_records: int, turn_records: int) -> tuple[float, float, float]:
    """Records a second of the bare loop and of the outbox, and their ratio."""
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = FULL", f"wal_autocheckpoint = {LOG_PAGES}"):
        bare.execute(f"PRAGMA {pragma}").fetchall()
    outbox = Outbox(folder / "write.db", gateway_id="bench", max_bytes=BOUND_BYTES)
    columns = [row[1:3] for row in outbox._db.execute("PRAGMA table_info(queue)")]
    bare.execute(
        f"CREATE TABLE queue ({', '.join(' '.join(c) for c in columns)}, PRIMARY KEY (entry))".replace(
            "entry INTEGER,", "entry INTEGER NOT NULL,"
        )
    )
    insert = f"INSERT INTO queue VALUES ({', '.join('?' * len(columns))})"
    batches = max(4, turn_records // batch_records)
    ratios, bare_s, outbox_s = [], 0.0, 0.0
    seq = 0
    for turn in range(TURNS + 1):
        made = [_pulled(seq + i * batch_records, batch_records) for i in range(batches)]
        begin_s = time.perf_counter()
        for records in made:
            bare.execute("BEGIN IMMEDIATE")
            rows = [(r.seq + 1, 1, r.seq, r.record, 0, r.time_utc_us, r.time_error_us, 1, 0, None, None, None, None, None) for r in records]
            bare.executemany(insert, rows)
            bare.execute("COMMIT")
        middle_s = time.perf_counter()
        for records in made:
            _append(outbox, seq, records)
            seq += batch_records
        end_s = time.perf_counter()
        if turn:  # The first warms up.
            ratios.append((middle_s - begin_s) / (end_s - middle_s))
            bare_s, outbox_s = bare_s + middle_s - begin_s, outbox_s + end_s - middle_s
    bare.close()
    outbox.close()
    count = TURNS * batches * batch_records
    return count / bare_s, count / outbox_s, statistics.median(ratios)


class _TakesAll:
    """A durable sink that is as fast as can be."""

    name = "bench"

    async def deliver(self, batch: Batch) -> Delivered:
        return Delivered(frozenset(e.entry for e in batch.envelopes))

    async def close(self) -> None:
        pass


def _relay(folder: Path, name: str) -> tuple[StoreThread, Sender, SinkStatus]:
    outbox = Outbox(folder / f"{name}.db", gateway_id="bench", sinks=[SinkPlace("bench")], max_bytes=BOUND_BYTES)
    store, status = StoreThread(outbox), SinkStatus("bench", "bench")
    return store, Sender("bench", _TakesAll(), store, status, batch_records=DELIVERY_RECORDS, retry_max_s=1.0), status


async def _acknowledge(folder: Path, seconds: float) -> tuple[list[float], float]:
    """Latencies at 1,000 records a second, in pulls of ten; records a second."""
    store, sender, status = _relay(folder, "ack")
    sending = asyncio.create_task(sender.run())
    latencies_s: list[float] = []
    made = 0
    begin_s = time.perf_counter()
    handed_s: list[float] = []

    async def watch() -> None:
        while True:
            while len(latencies_s) < status.delivered:
                latencies_s.append(time.perf_counter() - handed_s[len(latencies_s)])
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    while (now_s := time.perf_counter() - begin_s) < seconds:
        due = int(now_s * 1000) // 10 * 10
        while made < due:
            records = _pulled(made, 10)
            handed_s += [time.perf_counter()] * 10
            first = made
            made += 10
            await store.call(lambda o, first=first, records=records: _append(o, first, records))  # type: ignore[misc]
            sender.wake()
        await asyncio.sleep(0.002)
    elapsed_s = time.perf_counter() - begin_s
    await _until(lambda: status.delivered >= made and len(latencies_s) == made)
    sender.stop()
    await sending
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    store.close()
    return latencies_s, made / elapsed_s


async def _until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.002)
