"""The durable queue of a gateway: records and the device cursor are committed in one transaction, each sink has its own place.

Every call commits before it returns, so that the process may be killed anywhere; :meth:`Outbox.group` commits several calls at once.
Calls are synchronous and belong to one thread at a time (:class:`tinyfleet.gateway.store_thread.StoreThread` has one for them).
Tables and what goes in and out are in ``outbox_schema``; where sinks are in the queue in ``outbox_places``, what they will never get and
how they are told in ``outbox_losses``, what goes at the bounds in ``outbox_bounds``, what the edge remembers in ``outbox_edge``, what rules
want done in ``outbox_actions``, windows that are wanted of devices in ``outbox_captures``.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tinyfleet.database import (
    explained,
    free_pages,
    give_back_free_pages,
    open_database,
    open_read_only,
    page_count,
    transaction,
    used_bytes,
)
from tinyfleet.gateway.outbox_actions import ActionQueue
from tinyfleet.gateway.outbox_bounds import Bounds
from tinyfleet.gateway.outbox_captures import Captures
from tinyfleet.gateway.outbox_edge import EdgeStates
from tinyfleet.gateway.outbox_entries import first_of, identity_of, identity_text, select_entries
from tinyfleet.gateway.outbox_inspect import boots_of, depth_of, inspect_outbox
from tinyfleet.gateway.outbox_losses import Losses, Place
from tinyfleet.gateway.outbox_places import Places
from tinyfleet.gateway.outbox_schema import (
    GAP,
    LANES,
    MIGRATIONS,
    OUTBOX_FILE,
    BootState,
    CursorMoved,
    Depth,
    EdgeChange,
    NewDerived,
    OutboxFull,
    OutboxState,
    PulledRecord,
    SinkDepth,
    SinkPlace,
    WantedWindow,
    WhenFull,
    lane_of,
    lane_start,
)
from tinyfleet.gateway.seal import Seal, SealBroken, unseal_with
from tinyfleet.telemetry import Batch, DerivedEnvelope, Envelope, LossReport, RecordIdentity
from tinyfleet_codegen.errors import StoreError, StoreFull

__all__ = [
    "OUTBOX_FILE", "BootState", "CursorMoved", "Depth", "NewDerived", "Outbox", "OutboxFull", "OutboxState", "PulledRecord", "SinkDepth",
    "SinkPlace", "WantedWindow", "WhenFull", "boot_time_s", "inspect_outbox",
]  # fmt: skip

log = logging.getLogger(__name__)

RESERVE_FILE = "outbox.reserve"
RESERVE_BYTES = 4 * 2**20
"""Kept for a full disk: deleting records needs room in SQLite's log first."""
VACUUM_PAGES = 512
"""Pages given back to the file system at a time."""
KEPT_FREE_PAGES = 1024
KEPT_FREE_SHARE = 0.75
"""So many unused pages (4 MiB), and this part of the file, stay while entries wait; all of them go after a drain."""
MAX_OFFERED = 5000
"""Entries in one delivery, at most."""
OFFERED_SHARE = 8
"""One delivery holds at most this part of the outbox's bound: what is under way cannot be dropped."""
UNSEEN_BOOTS = 256
"""Boots of one device that are declared as gone when it comes back, at most."""
SEAL_CHUNK = 5000
"""Entries sealed in one commit when a key is new."""


_NOBODY: Mapping[str, int] = MappingProxyType({})


def boot_time_s() -> float:
    """Seconds since the machine started, asleep or not; no clock that is set moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Outbox:
    """One outbox database.

    Args:
        path: The database file; made when it is absent.
        gateway_id: Written into every envelope.
        sinks: Who drains it. A sink that is new to the file gets all that is still there, one that is no longer named is forgotten.
        max_bytes: Bound of the database's used pages.
        max_age_s: Entries older than this are dropped, in seconds that gateways ran on this file; None: no bound.
        when_full: What to do at the bound in bytes.
        targets: Who acts for rules; see :meth:`ActionQueue.configure`.
        key: Gives the 32 secret bytes that payloads are sealed with, told whether they must exist already; None: they are not sealed.
        clock_s: Seconds that never jump.
        check_edge: Whether what the edge remembers can be read; see :class:`EdgeStates`.

    Attributes:
        edges: What the edge remembers.
        actions: What rules want done.
        captures: Windows that are wanted of devices.

    Raises:
        StoreError: see :func:`tinyfleet.database.open_database`; all methods raise it when the disk fails or is full, and
            then nothing of the call has happened.
    """

    def __init__(
        self,
        path: Path,
        *,
        gateway_id: str,
        sinks: Sequence[SinkPlace] = (SinkPlace("http"),),
        max_bytes: int = 256 * 2**20,
        max_age_s: int | None = None,
        when_full: WhenFull = WhenFull.DROP_OLDEST,
        targets: Mapping[str, int] = _NOBODY,
        key: Callable[[bool], bytes] | None = None,
        clock_s: Callable[[], float] = boot_time_s,
        check_edge: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self.path = path
        self._gateway_id = gateway_id
        self._clock_s = clock_s
        self._key = key
        self._seal: Seal | None = None
        self._is_grouped = False
        self._models: dict[bytes, int] = {}
        self._reserve = path.with_name(RESERVE_FILE)
        self._db = self._opened()
        self._losses = Losses(self._db)
        self._places = Places(self._db, self._losses)
        self._bounds = Bounds(self._db, self._places)
        self.edges = EdgeStates(
            path, self._db, committed=self._committed, clock_s=self._age_s, seal=lambda: self._seal,
            insert=lambda boot, derived, region: self._insert(boot, (), derived, region),
            drop=self._places.drop_unqueued, check=check_edge,
        )  # fmt: skip
        self.actions = ActionQueue(
            path, self._db, committed=self._committed, now_s=self._age_clock_s, seal=lambda: self._seal,
            declare=lambda derived: self._insert(None, (), derived, None),
        )  # fmt: skip
        self.captures = Captures(path, self._db, committed=self._committed, queue=self._queue, model=self._model)
        begin = functools.partial(self._begin, sinks, max_bytes, max_age_s, when_full, targets)
        try:
            try:
                begin()
            except StoreFull:
                # A full disk that can only be drained by opening what fills it.
                if not self._reserve.exists():
                    raise
                log.warning("disk full, reserve used to open the outbox")
                self._reserve.unlink()
                begin()
        except BaseException:
            self._db.close()
            raise
        self._keep_reserve()

    def _opened(self) -> sqlite3.Connection:
        try:
            return open_database(self.path, MIGRATIONS, what="outbox")
        except StoreFull:
            if not self._reserve.exists():
                raise
            self._reserve.unlink()
            return open_database(self.path, MIGRATIONS, what="outbox")

    def _begin(
        self, sinks: Sequence[SinkPlace], max_bytes: int, max_age_s: int | None, when_full: WhenFull, targets: Mapping[str, int]
    ) -> None:
        with self._committed():
            row = self._db.execute("SELECT outbox_id FROM outbox").fetchone()
            self.outbox_id: bytes = row[0] if row else os.urandom(16)
            if row is None:
                self._db.execute("INSERT INTO outbox VALUES (?)", (self.outbox_id,))
            # Age goes on where it was: the time in which no gateway ran does not count, and no clock can jump.
            self._clock_zero_s = self._clock_s() - self._counter("age_clock_s")
            self._places.has_regions = self._counter("regions") > 0
            self._open_seal()
            self.edges.refuse_newer()
        self.configure(sinks, max_bytes=max_bytes, max_age_s=max_age_s, when_full=when_full, targets=targets)
        if self._seal is not None:
            self._seal_rest(self._seal)
        for place in self._places.by_name.values():
            place.unanswered |= self._perhaps_delivered(place)
        # An updated peer may accept today what it refused yesterday.
        with self._committed():
            self._db.execute("UPDATE aside SET reason = NULL WHERE reason IS NOT NULL")
            self._db.execute("UPDATE sink SET waiting = waiting + refused, refused = 0")

    def _open_seal(self) -> None:
        check = self._counter("seal")
        if self._key is None:
            sealed = " UNION ALL ".join(f"SELECT 1 FROM {table} WHERE sealed" for table in ("queue", "edge", "action"))
            if check and self._db.execute(f"{sealed} LIMIT 1").fetchone() is not None:
                raise StoreError(
                    f"outbox {self.path} is sealed, and no key is configured",
                    hint="set [outbox] encrypt as it was; what is delivered may then be followed by a start without it",
                )
            self._set_counter("seal", 0)
            return
        self._seal = Seal(self._key(check != 0), self.outbox_id)
        if check not in (0, self._seal.check):
            raise StoreError(f"outbox {self.path} is sealed by another key", hint="bring its own key back; nothing in it was changed")
        self._set_counter("seal", self._seal.check)

    def _seal_rest(self, seal: Seal) -> None:
        """Seal what was committed before there was a key, in steps that may each be the last."""
        with self._committed():
            self.edges.seal_rest(seal)
            self.actions.seal_rest(seal)
        while True:
            with self._committed():
                rows = select_entries(self._db, "WHERE NOT sealed", (SEAL_CHUNK,))
                sealed = [(seal.seal(row[3], row[0], identity_of(row)), row[0]) for row in rows]
                self._db.executemany("UPDATE queue SET payload = ?, sealed = 1 WHERE entry = ?", sealed)
            if not rows:
                return

    def _perhaps_delivered(self, place: Place) -> set[int]:
        """What the last process may have offered before it died: a delivery takes the first of each priority, whatever came later."""
        with explained(self.path, "outbox"):
            rows = self._db.execute("SELECT entry FROM aside WHERE sink = ? AND reason IS NULL", (place.id,)).fetchall()
            limit_bytes = self._counter("offered_bytes")
            for priority in self._lanes:
                rows += self._rows_ahead(place, priority, MAX_OFFERED, limit_bytes)
        return {row[0] for row in rows}

    def close(self) -> None:
        """Close the database; the file stays."""
        self._db.close()

    def configure(
        self,
        sinks: Sequence[SinkPlace],
        *,
        max_bytes: int,
        max_age_s: int | None,
        when_full: WhenFull,
        targets: Mapping[str, int] = _NOBODY,
    ) -> None:
        """Change sinks, bounds and targets; see the class for what they mean."""
        self._max_bytes, self._max_age_s, self._when_full = max_bytes, max_age_s, when_full
        with self._committed():
            self._set_counter("offered_bytes", max(self._counter("offered_bytes"), max_bytes // OFFERED_SHARE))
            self._places.configure(sinks)
            self._load()
            self.actions.configure(targets, max_bytes=max_bytes, outbox_id=self.outbox_id)
            for priority in self._lanes:
                self._places.free(priority, lane_start(priority))

    # -- transactions

    @contextlib.contextmanager
    def _committed(self) -> Iterator[None]:
        """All of the block is on the disk when it ends (when the group ends, in a group), or nothing of it is."""
        mark = len(self._places.answered)
        with explained(self.path, "outbox"):
            try:
                with _savepoint(self._db) if self._is_grouped else transaction(self._db):
                    yield
            except BaseException:
                self._take_back(mark)
                raise
        if not self._is_grouped:
            self._places.answered.clear()

    @contextlib.contextmanager
    def group(self) -> Iterator[None]:
        """Commit the calls in the block together: one write to the disk for all of them.

        A call that raises leaves nothing behind, the others stand. None of their results may be used before the block has ended.

        Raises:
            StoreError: the disk failed; nothing of the block has happened, calls made one by one may still succeed.
        """
        self._is_grouped = True
        try:
            with explained(self.path, "outbox"), transaction(self._db):
                yield
                if not self._db.in_transaction:
                    raise StoreFull(f"outbox {self.path}: the disk failed in a group of commits")
        except BaseException:
            self._take_back(0)
            raise
        finally:
            self._is_grouped = False
            self._places.answered.clear()

    def _take_back(self, mark: int) -> None:
        """A transaction was rolled back: what is kept in memory is again what the database says."""
        self._places.take_back(mark)
        self._load()

    def _load(self) -> None:
        """Read what is kept in memory of the tables."""
        self._models.clear()
        self._lanes: dict[int, int] = dict(self._db.execute("SELECT priority, next_entry FROM lane").fetchall())
        self._places.load()

    # -- what comes in

    def cursor(self, device_id: bytes, boot_id: int) -> int:
        """The next seq to pull of that boot; 0 when nothing of it was committed."""
        with explained(self.path, "outbox"):
            row = self._db.execute("SELECT next_seq FROM boot WHERE device_id = ? AND boot_id = ?", (device_id, boot_id)).fetchone()
        return 0 if row is None else int(row[0])

    def append(
        self,
        device_id: bytes,
        boot_id: int,
        records: Sequence[PulledRecord],
        *,
        since: int,
        next_seq: int,
        lost: int,
        filtered: int = 0,
        derived: Sequence[NewDerived] = (),
        region: str | None = None,
        edge: EdgeChange | None = None,
        wanted: Sequence[WantedWindow] = (),
    ) -> int:
        """Commit records, what was made of others, the cursor and the count of lost ones together.

        A gap record is added for what was lost, and one without an end for each boot of the device that this one followed: what that
        boot's ring held at its end is not known.

        Args:
            records: In the order of their seq.
            since: The cursor that they were pulled from.
            next_seq: The cursor after them; smaller than ``since`` only to rewind a device that forgot its boot counter.
            lost: Records between that the device no longer had.
            filtered: Records between that are neither in ``records`` nor stood for by ``derived``, on purpose.
            derived: What the gateway makes of records between.
            region: All of it goes only to sinks of this region; None: to all.
            edge: What the edge remembers of the boot; None: as it was. Records in it that nothing in this call stands for come to the
                totals with the derived record that does.
            wanted: Records between whose windows are to be fetched.

        Returns:
            How many older entries were dropped to make room.

        Raises:
            CursorMoved: the cursor is no longer ``since``, or the edge remembers something else; nothing was committed.
            OutboxFull: at the bound with ``stop_pulling``; nothing was committed.
        """
        with self._committed():
            if records or derived:
                self._refuse_when_full()
            made = self._db.execute("INSERT OR IGNORE INTO boot (device_id, boot_id) VALUES (?, ?)", (device_id, boot_id)).rowcount
            pulled = len(records) + filtered + sum(d.count for d in derived)
            moved = self._db.execute(
                "UPDATE boot SET next_seq = ?, pulled = pulled + ?, lost = lost + ?, filtered = filtered + ?"
                " WHERE device_id = ? AND boot_id = ? AND next_seq = ? RETURNING id",
                (next_seq, pulled, lost, filtered, device_id, boot_id, since),
            ).fetchone()
            if moved is None or (edge is not None and not self.edges.change(moved[0], edge, region)):
                raise CursorMoved
            if made:
                self._end_earlier_boots(device_id, boot_id, region)
            gaps = [NewDerived(GAP, b"{}", since, since + lost - 1, lost)] if lost else []
            if lost or filtered:
                self._places.expect_reports()
            self._insert(moved[0], records, [*gaps, *derived], region)
            self.captures.add(moved[0], wanted)
            return self._keep_bounds()

    def _refuse_when_full(self) -> None:
        if self._when_full is WhenFull.STOP_PULLING and used_bytes(self._db) >= self._max_bytes:
            raise OutboxFull

    def _keep_bounds(self) -> int:
        dropped = 0
        if self._max_age_s is not None:
            dropped += self._bounds.drop_older(self._lanes, self._age_clock_s() - self._max_age_s)
        if self._when_full is WhenFull.DROP_OLDEST:
            dropped += self._bounds.make_room(self._lanes, self._max_bytes)
        return dropped

    def _queue(self, boot: int, derived: Sequence[NewDerived], region: str | None) -> None:
        self._refuse_when_full()
        self._insert(boot, (), derived, region)
        self._keep_bounds()

    def add(self, derived: Sequence[NewDerived]) -> None:
        """Commit derived records that are about the gateway itself."""
        with self._committed():
            self._insert(None, (), derived, None)

    def _end_earlier_boots(self, device_id: bytes, boot_id: int, region: str | None) -> None:
        """Boots that are over: whatever they made after our cursor is gone. Of those that we never saw, everything."""
        last = self._db.execute("SELECT max(boot_id) FROM boot WHERE device_id = ? AND boot_id < ?", (device_id, boot_id)).fetchone()[0]
        for over in range(max(last, boot_id - UNSEEN_BOOTS), boot_id) if last is not None else ():
            self._db.execute("INSERT OR IGNORE INTO boot (device_id, boot_id) VALUES (?, ?)", (device_id, over))
            boot, next_seq = self._db.execute(
                "SELECT id, next_seq FROM boot WHERE device_id = ? AND boot_id = ?", (device_id, over)
            ).fetchone()
            gap = NewDerived(GAP, json.dumps({"next_boot_id": boot_id}).encode(), next_seq)
            self._insert(boot, (), [gap], region)

    def _insert(
        self,
        boot: int | None,
        records: Sequence[PulledRecord],
        derived: Sequence[NewDerived],
        region: str | None,
    ) -> None:
        now_s = self._age_clock_s()
        rows: list[tuple[Any, ...]] = []
        numbers = [self._count_up(f"number of {d.kind}") for d in derived]
        for d, number in zip(derived, numbers, strict=True):
            entry = self._next_entry(d.priority)
            rows.append((
                entry, boot, d.first_seq, d.body, 0, d.time_utc_us, d.time_error_us, self._model(d.model_id), now_s, region,
                d.kind, number, d.last_seq, d.count,
            ))  # fmt: skip
        for r in records:
            entry = self._next_entry(r.priority)
            model = self._model(r.model_id)
            rows.append((entry, boot, r.seq, r.record, 0, r.time_utc_us, r.time_error_us, model, now_s, region, None, None, None, None))
        if not rows:
            return
        if self._seal is not None:
            rows = self._sealed(self._seal, boot, rows)
        self._db.executemany("INSERT INTO queue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        for priority in {lane_of(row[0]) for row in rows}:
            self._db.execute("INSERT OR REPLACE INTO lane VALUES (?, ?)", (priority, self._lanes[priority]))
        self._db.execute("UPDATE sink SET waiting = waiting + ?", (len(rows),))
        self._set_counter("age_clock_s", now_s)
        if region is not None and not self._places.has_regions:
            self._set_counter("regions", 1)
            self._places.has_regions = True
        for d, number in zip(derived, numbers, strict=True):
            if d.targets and boot is not None:
                self.actions.add(boot, number, d)

    def _sealed(self, seal: Seal, boot: int | None, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        row = self._db.execute("SELECT device_id, boot_id FROM boot WHERE id = ?", (boot,)).fetchone()
        device_id, boot_id = row or (None, None)
        return [(*r[:3], seal.seal(r[3], r[0], identity_text(device_id, boot_id, r[2], r[10], r[11])), 1, *r[5:]) for r in rows]

    def _age_clock_s(self) -> int:
        """Whole seconds that gateways ran on this file."""
        return int(self._age_s())

    def _age_s(self) -> float:
        return self._clock_s() - self._clock_zero_s

    def _next_entry(self, priority: int) -> int:
        assert 0 <= priority < LANES, priority
        entry = self._lanes.setdefault(priority, lane_start(priority) + 1)
        self._lanes[priority] = entry + 1
        return entry

    def _model(self, model_id: bytes | None) -> int | None:
        if model_id is None:
            return None
        known = self._models.get(model_id)
        if known is None:
            self._db.execute("INSERT OR IGNORE INTO model (model_id) VALUES (?)", (model_id,))
            known = int(self._db.execute("SELECT id FROM model WHERE model_id = ?", (model_id,)).fetchone()[0])
            self._models[model_id] = known
        return known

    def _counter(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def _set_counter(self, name: str, value: int) -> None:
        self._db.execute(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value WHERE value != excluded.value",
            (name, value),
        )

    def _count_up(self, name: str) -> int:
        sql = "INSERT INTO counter VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value"
        return int(self._db.execute(sql, (name,)).fetchone()[0])

    # -- what goes out

    def batch(self, sink: str, max_records: int, max_bytes: int) -> Batch:
        """The next delivery to a sink: what waits (at least one entry if there is one), higher priorities first, and untold losses.

        Its entries are under way until :meth:`acknowledge` names them, also for a process that is started later: they are not dropped.
        """
        place = self._places.by_name[sink]
        with explained(self.path, "outbox"):
            rows = self._next_rows(place, min(max_records, MAX_OFFERED), min(max_bytes, self._max_bytes // OFFERED_SHARE))
            if self._places.has_regions and not rows:
                with self._committed():
                    self._places.pass_withheld(place, self._lanes)
            reports = tuple(self._losses.reports(place)) if place.has_news else ()
            place.has_news = bool(reports)
        place.unanswered.update(row[0] for row in rows)
        envelopes: list[Envelope | DerivedEnvelope] = []
        broken: list[int] = []
        for row in rows:
            try:
                envelopes.append(self._envelope(row))
            except SealBroken:
                broken.append(row[0])
        if broken:
            log.error("entries cannot be unsealed, kept count=%d first=%d", len(broken), broken[0])
            self.acknowledge(sink, (), refused=[(entry, "it was changed on the disk") for entry in broken])
            if not envelopes:
                return self.batch(sink, max_records, max_bytes)
        return Batch(self._gateway_id, self.outbox_id, tuple(envelopes), reports)

    def _next_rows(self, place: Place, limit: int, limit_bytes: int) -> list[Any]:
        rows: list[Any] = []
        region, of_region = (" AND (region IS NULL OR region = ?)", (place.region,)) if self._places.has_regions else ("", ())
        has_asides = self._db.execute("SELECT 1 FROM aside WHERE sink = ? LIMIT 1", (place.id,)).fetchone() is not None
        for priority in sorted(self._lanes, reverse=True):
            if has_asides:
                where = f"JOIN aside USING (entry) WHERE aside.sink = ? AND reason IS NULL AND entry > ? AND entry <= ?{region}"
                values = (place.id, lane_start(priority), place.position(priority), *of_region, limit - len(rows))
                rows += select_entries(self._db, where, values)
            if len(rows) < limit:
                rows += self._rows_ahead(place, priority, limit - len(rows), limit_bytes)
            if len(rows) >= limit:
                break
        return first_of(rows, limit_bytes)

    def _rows_ahead(self, place: Place, priority: int, limit: int, limit_bytes: int) -> list[Any]:
        """The first entries of a priority that a sink has not been at, and may have."""
        position = place.position(priority)
        if self._lanes[priority] <= position + 1:
            return []
        region, of_region = (" AND (region IS NULL OR region = ?)", (place.region,)) if self._places.has_regions else ("", ())
        values = (position, lane_start(priority + 1), *of_region, limit)
        return first_of(select_entries(self._db, f"WHERE entry > ? AND entry < ?{region}", values), limit_bytes)

    def _envelope(self, row: Any) -> Envelope | DerivedEnvelope:
        entry, device_id, boot_id, payload, sealed, seq, time_utc_us, time_error_us, model_id, kind, number, last_seq, count = row
        if sealed:
            payload = unseal_with(self._seal, payload, entry, identity_of(row))
        if kind is None:
            identity = RecordIdentity(device_id, boot_id, seq)
            return Envelope(identity, payload, time_utc_us, time_error_us, model_id, self._gateway_id, self.outbox_id, entry)
        return DerivedEnvelope(
            kind, number, device_id, boot_id, seq, last_seq, count, payload, time_utc_us, time_error_us, model_id,
            self._gateway_id, self.outbox_id, entry,
        )  # fmt: skip

    def acknowledge(
        self, sink: str, entries: Collection[int], *, refused: Sequence[tuple[int, str]] = (), reports: Sequence[LossReport] = ()
    ) -> None:
        """A sink has answered: move its place, and free what nobody waits for any more.

        Args:
            sink: Which one.
            entries: What it has now. Entries that it was not offered are ignored.
            refused: What it will never accept, with its reason; not offered again until the outbox is opened again.
            reports: Loss reports that were in the same delivery.
        """
        try:
            self._answer(self._places.by_name[sink], entries, refused, reports)
        except StoreFull:
            if self._is_grouped or not self._reserve.exists():
                raise
            log.warning("disk full, reserve used to deliver what waits")
            self._reserve.unlink()
            self._write_back_log()
            self._answer(self._places.by_name[sink], entries, refused, reports)

    def _answer(self, place: Place, entries: Collection[int], refused: Sequence[tuple[int, str]], reports: Sequence[LossReport]) -> None:
        accepted = place.unanswered.intersection(entries)
        reasons = {entry: reason for entry, reason in refused if entry in place.unanswered and entry not in accepted}
        named = accepted | reasons.keys()
        with self._committed():
            again = {entry for entry in named if entry <= place.position(lane_of(entry))}
            self._db.executemany("DELETE FROM aside WHERE entry = ? AND sink = ?", [(e, place.id) for e in again & accepted])
            self._db.executemany(
                "INSERT INTO aside VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason",
                [(entry, place.id, reason) for entry, reason in reasons.items()],
            )
            for priority in {lane_of(entry) for entry in named - again}:
                self._places.advance(place, priority, max(e for e in named - again if lane_of(e) == priority), named)
            self._places.free_unneeded(again & accepted)
            self._db.execute(
                "UPDATE sink SET waiting = waiting - ?, delivered = delivered + ?, refused = refused + ? WHERE id = ?",
                (len(named), len(accepted), len(reasons), place.id),
            )
            for report in reports:
                self._losses.note_report(place, report)
            self._shrink_file()
            self._places.forget_offer(place, named)

    # -- losses

    def unreported_losses(self, sink: str) -> list[LossReport]:
        """Boots of which a sink does not know the totals yet; at most 100."""
        with explained(self.path, "outbox"):
            return self._losses.reports(self._places.by_name[sink])

    # -- what goes

    # -- looking at it, and after the file

    def history(self, device_id: bytes, first_utc_us: int, last_utc_us: int, limit: int) -> list[Envelope]:
        """Records of one device that are still here, of a span of time (ends included), by their time; from any thread.

        Args:
            device_id: Whose.
            first_utc_us: Where to begin.
            last_utc_us: Where to end; earlier than the first: the latest records come first.
            limit: So many, and those of the same moment as the last: who goes on with the next moment misses none.
        """
        order = "time_utc_us, entry" if first_utc_us <= last_utc_us else "time_utc_us DESC, entry DESC"
        reader = open_read_only(self.path, MIGRATIONS, what="outbox")
        try:
            with explained(self.path, "outbox"):
                where = "WHERE device_id = ? AND kind IS NULL AND time_utc_us BETWEEN ? AND ?"
                span = min(first_utc_us, last_utc_us), max(first_utc_us, last_utc_us)
                rows = select_entries(reader, where, (device_id, *span, limit), order=order)
                if len(rows) == limit:
                    moment = rows[-1][6]
                    same = select_entries(reader, where, (device_id, moment, moment, -1), order=order)
                    rows = [row for row in rows if row[6] != moment] + same
        finally:
            reader.close()
        found: list[Envelope] = []
        for row in rows:
            with contextlib.suppress(SealBroken):
                envelope = self._envelope(row)
                found += [envelope] if isinstance(envelope, Envelope) else []
        return found

    def depth(self) -> Depth:
        """How many entries wait, and how much room they take."""
        with explained(self.path, "outbox"):
            return depth_of(self._db)

    def boots(self) -> list[BootState]:
        """Cursor and totals of every boot that was ever pulled."""
        with explained(self.path, "outbox"):
            return boots_of(self._db)

    def state(self) -> OutboxState:
        """Depth, age and totals; quick, however much waits."""
        with explained(self.path, "outbox"):
            # Within a priority the lowest entry is the oldest.
            born_s = [
                row[0]
                for lane in self._lanes
                for row in self._db.execute("SELECT age_clock_s FROM queue WHERE entry >= ? ORDER BY entry LIMIT 1", (lane_start(lane),))
            ]
            totals = self._db.execute(
                "SELECT coalesce(sum(pulled), 0), coalesce(sum(lost), 0), coalesce(sum(filtered), 0) FROM boot"
            ).fetchone()
            age_s = self._clock_s() - self._clock_zero_s - min(born_s) if born_s else 0.0
            return OutboxState(depth_of(self._db), max(0.0, age_s), *totals)

    def _shrink_file(self) -> None:
        """Give room back while entries wait, when most of the file is unused: each page that is given back costs moving another one."""
        free = free_pages(self._db)
        if free > KEPT_FREE_PAGES and free > KEPT_FREE_SHARE * page_count(self._db):
            give_back_free_pages(self._db, limit_pages=VACUUM_PAGES)

    def settle(self) -> None:
        """A sink has all that waits: give room back, truncate SQLite's log, take the reserve again if it was used."""
        with self._committed():
            is_empty = self._db.execute("SELECT 1 FROM queue LIMIT 1").fetchone() is None
            # With nothing to move it is quick; else only a part of it, so that nobody waits.
            give_back_free_pages(self._db, limit_pages=free_pages(self._db) if is_empty else VACUUM_PAGES)
        self._write_back_log()
        if not self._reserve.exists():
            self._keep_reserve()

    def _write_back_log(self) -> None:
        with explained(self.path, "outbox"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _keep_reserve(self) -> None:
        """Hold room on the disk, when there is room."""
        try:
            with self._reserve.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError as error:
            self._reserve.unlink(missing_ok=True)
            log.warning("no room for the reserve file=%s error=%s", self._reserve, error.strerror)


@contextlib.contextmanager
def _savepoint(db: sqlite3.Connection) -> Iterator[None]:
    """A part of a transaction that is undone alone."""
    if not db.in_transaction:
        raise sqlite3.OperationalError("the transaction was rolled back")
    db.execute("SAVEPOINT one_call")
    try:
        yield
        db.execute("RELEASE one_call")
    except BaseException:
        # A full disk makes SQLite roll the whole transaction back by itself.
        if db.in_transaction:
            db.execute("ROLLBACK TO one_call")
            db.execute("RELEASE one_call")
        raise
