"""The durable queue of a gateway: records and the device cursor are committed in one transaction.

Every call commits before it returns, so that the process may be killed anywhere. Calls are synchronous and belong to one
thread at a time (:class:`tinyfleet.gateway.service.Gateway` has one for them).
"""

from __future__ import annotations

import enum
import logging
import os
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.database import explained, give_back_free_pages, open_database, open_read_only, transaction, used_bytes
from tinyfleet.telemetry import Batch, Envelope, LossReport, RecordIdentity
from tinyfleet_codegen.errors import StoreError

log = logging.getLogger(__name__)

OUTBOX_FILE = "outbox.db"
"""Name of the database in the gateway's data folder."""

MIGRATIONS = (
    """
    CREATE TABLE outbox (outbox_id BLOB NOT NULL);
    CREATE TABLE boot (
        device_id BLOB NOT NULL,
        boot_id INTEGER NOT NULL,
        next_seq INTEGER NOT NULL,
        pulled INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        reported_lost INTEGER NOT NULL DEFAULT 0,
        reported_dropped INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (device_id, boot_id)
    ) WITHOUT ROWID;
    CREATE TABLE record (
        entry INTEGER PRIMARY KEY AUTOINCREMENT,
        device_id BLOB NOT NULL,
        boot_id INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        record BLOB NOT NULL,
        time_utc_us INTEGER,
        time_error_us INTEGER,
        model_id BLOB,
        refused TEXT
    )
    """,
)
"""``boot`` holds the cursor (``next_seq``) and the totals of one boot of one device; ``record`` waits for the cloud."""

DROP_CHUNK = 256
"""Records dropped at a time when the outbox is full."""
RESERVE_FILE = "outbox.reserve"
RESERVE_BYTES = 4 * 2**20
"""Kept for a full disk: deleting records needs room in SQLite's log first."""
VACUUM_PAGES = 512
"""Pages given back to the file system after a delivery, at most."""


class WhenFull(enum.StrEnum):
    """What happens when the outbox reaches its bound."""

    DROP_OLDEST = "drop_oldest"
    """The oldest records go; each is counted and reported upstream."""
    STOP_PULLING = "stop_pulling"
    """Nothing is pulled until there is room; the device's ring overwrites its oldest, counts them, and they are reported."""


class OutboxFull(Exception):
    """The outbox is at its bound and its policy is to stop pulling."""


class CursorMoved(Exception):
    """Somebody else committed records of this boot since the cursor was read; read it again."""


@dataclass(frozen=True, slots=True)
class PulledRecord:
    """One record as pulled: its place in the boot, its bytes, and what the gateway knows about it."""

    seq: int
    record: bytes
    time_utc_us: int | None
    time_error_us: int | None
    model_id: bytes | None


@dataclass(frozen=True, slots=True)
class BootState:
    """Cursor and totals of one boot of one device."""

    device_id: bytes
    boot_id: int
    next_seq: int
    pulled: int
    lost: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How full the outbox is.

    Attributes:
        waiting: Records to be delivered.
        refused: Records that the cloud refused; kept, and offered again after a restart.
        used_bytes: Bytes in use in the database, what the bound applies to.
    """

    waiting: int
    refused: int
    used_bytes: int


class Outbox:
    """One outbox database.

    Args:
        path: The database file; made when it is absent.
        gateway_id: Written into every envelope.
        max_bytes: Bound of the database's used pages.
        when_full: What to do at the bound.

    Raises:
        StoreError: see :func:`tinyfleet.database.open_database`; all methods raise it when the disk fails or is full, and
            then nothing of the call has happened.
    """

    def __init__(self, path: Path, *, gateway_id: str, max_bytes: int = 256 * 2**20, when_full: WhenFull = WhenFull.DROP_OLDEST) -> None:
        self.path = path
        self._gateway_id = gateway_id
        self._max_bytes = max_bytes
        self._when_full = when_full
        self._in_flight = 0  # largest entry handed out; what may be in the cloud already is not dropped
        self._db = open_database(path, MIGRATIONS, what="outbox")
        with explained(path, "outbox"), transaction(self._db):
            row = self._db.execute("SELECT outbox_id FROM outbox").fetchone()
            self.outbox_id: bytes = row[0] if row else os.urandom(16)
            if row is None:
                self._db.execute("INSERT INTO outbox VALUES (?)", (self.outbox_id,))
            # An updated cloud may accept today what it refused yesterday.
            self._db.execute("UPDATE record SET refused = NULL WHERE refused IS NOT NULL")
        self._reserve = path.with_name(RESERVE_FILE)
        self._keep_reserve()

    def close(self) -> None:
        """Close the database; the file stays."""
        self._db.close()

    def cursor(self, device_id: bytes, boot_id: int) -> int:
        """The next seq to pull of that boot; 0 when nothing of it was committed."""
        with explained(self.path, "outbox"):
            row = self._db.execute("SELECT next_seq FROM boot WHERE device_id = ? AND boot_id = ?", (device_id, boot_id)).fetchone()
        return 0 if row is None else int(row[0])

    def append(self, device_id: bytes, boot_id: int, records: Sequence[PulledRecord], *, since: int, next_seq: int, lost: int) -> int:
        """Commit records, the cursor and the count of lost ones together.

        Args:
            records: In the order of their seq.
            since: The cursor that they were pulled from.
            next_seq: The cursor after them; smaller than ``since`` only to rewind a device that forgot its boot counter.
            lost: Records between that the device no longer had.

        Returns:
            How many older records were dropped to make room.

        Raises:
            CursorMoved: the cursor is no longer ``since``; nothing was committed.
            OutboxFull: at the bound with ``stop_pulling``; nothing was committed.
        """
        with explained(self.path, "outbox"), transaction(self._db):
            if records and self._when_full is WhenFull.STOP_PULLING and used_bytes(self._db) >= self._max_bytes:
                raise OutboxFull
            self._db.execute("INSERT OR IGNORE INTO boot (device_id, boot_id, next_seq) VALUES (?, ?, 0)", (device_id, boot_id))
            moved = self._db.execute(
                "UPDATE boot SET next_seq = ?, pulled = pulled + ?, lost = lost + ? WHERE device_id = ? AND boot_id = ? AND next_seq = ?",
                (next_seq, len(records), lost, device_id, boot_id, since),
            )
            if moved.rowcount != 1:
                raise CursorMoved
            self._insert(device_id, boot_id, records)
            return self._make_room() if self._when_full is WhenFull.DROP_OLDEST else 0

    def _insert(self, device_id: bytes, boot_id: int, records: Sequence[PulledRecord]) -> None:
        self._db.executemany(
            "INSERT INTO record (device_id, boot_id, seq, record, time_utc_us, time_error_us, model_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(device_id, boot_id, r.seq, r.record, r.time_utc_us, r.time_error_us, r.model_id) for r in records],
        )

    def _make_room(self) -> int:
        dropped = 0
        while used_bytes(self._db) > self._max_bytes:
            oldest = "SELECT entry FROM record WHERE entry > ? ORDER BY entry LIMIT ?"
            counts = self._db.execute(
                f"SELECT device_id, boot_id, count(*) FROM record WHERE entry IN ({oldest}) GROUP BY device_id, boot_id",
                (self._in_flight, DROP_CHUNK),
            ).fetchall()
            if not counts:
                break
            self._db.execute(f"DELETE FROM record WHERE entry IN ({oldest})", (self._in_flight, DROP_CHUNK))
            self._db.executemany(
                "UPDATE boot SET dropped = dropped + ? WHERE device_id = ? AND boot_id = ?", [(n, d, b) for d, b, n in counts]
            )
            dropped += sum(n for _, _, n in counts)
        return dropped

    def oldest(self, max_records: int, max_bytes: int) -> list[Envelope]:
        """The oldest waiting records, at least one if there is one, in the order in which they were committed.

        They are in flight until :meth:`acknowledge` or :meth:`release`, and are not dropped meanwhile.
        """
        with explained(self.path, "outbox"):
            rows = self._db.execute(
                "SELECT entry, device_id, boot_id, seq, record, time_utc_us, time_error_us, model_id"
                " FROM record WHERE refused IS NULL ORDER BY entry LIMIT ?",
                (max_records,),
            ).fetchall()
        envelopes: list[Envelope] = []
        total_bytes = 0
        for entry, device_id, boot_id, seq, record, time_utc_us, time_error_us, model_id in rows:
            total_bytes += len(record)
            if envelopes and total_bytes > max_bytes:
                break
            identity = RecordIdentity(device_id, boot_id, seq)
            envelopes.append(Envelope(identity, record, time_utc_us, time_error_us, model_id, self._gateway_id, self.outbox_id, entry))
        self._in_flight = envelopes[-1].entry if envelopes else 0
        return envelopes

    def batch(self, max_records: int, max_bytes: int) -> Batch:
        """The next delivery."""
        return Batch(self._gateway_id, self.outbox_id, tuple(self.oldest(max_records, max_bytes)), tuple(self.unreported_losses()))

    def release(self) -> None:
        """The last batch got no answer; its records wait again and may be dropped."""
        self._in_flight = 0

    def acknowledge(self, entries: Collection[int], *, refused: Sequence[tuple[int, str]] = (), reports: Sequence[LossReport] = ()) -> None:
        """Remove what the cloud has named as stored.

        Args:
            entries: Entries that are in the cloud.
            refused: Entries that it will never accept, with its reason; they are kept but not offered again.
            reports: Loss reports that were in the same delivery.
        """
        try:
            self._remove(entries, refused, reports)
        except StoreError:
            if not self._reserve.exists():
                raise
            log.warning("disk full, reserve used to deliver what waits")
            self._reserve.unlink()
            self._write_back_log()
            self._remove(entries, refused, reports)
        self._in_flight = 0

    def _remove(self, entries: Collection[int], refused: Sequence[tuple[int, str]], reports: Sequence[LossReport]) -> None:
        with explained(self.path, "outbox"):
            with transaction(self._db):
                self._db.executemany("DELETE FROM record WHERE entry = ?", [(e,) for e in entries])
                self._db.executemany("UPDATE record SET refused = ? WHERE entry = ?", [(reason, e) for e, reason in refused])
                self._db.executemany(
                    "UPDATE boot SET reported_lost = ?, reported_dropped = ? WHERE device_id = ? AND boot_id = ?",
                    [(r.lost, r.dropped, r.device_id, r.boot_id) for r in reports],
                )
            give_back_free_pages(self._db, limit_pages=VACUUM_PAGES)

    def unreported_losses(self, limit: int = 100) -> list[LossReport]:
        """Boots whose lost or dropped totals the cloud does not know yet."""
        with explained(self.path, "outbox"):
            rows = self._db.execute(
                "SELECT device_id, boot_id, lost, dropped FROM boot WHERE lost > reported_lost OR dropped > reported_dropped LIMIT ?",
                (limit,),
            ).fetchall()
        return [LossReport(*row) for row in rows]

    def depth(self) -> Depth:
        """How many records wait, and how much room they take."""
        with explained(self.path, "outbox"):
            return _depth(self._db)

    def boots(self) -> list[BootState]:
        """Cursor and totals of every boot that was ever pulled."""
        with explained(self.path, "outbox"):
            return _boots(self._db)

    def settle(self) -> None:
        """Nothing waits: truncate SQLite's log, and take the reserve again if it was used."""
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


def inspect_outbox(path: Path) -> tuple[Depth, list[BootState]]:
    """What an outbox holds, read beside a running gateway or without one.

    Raises:
        StoreError: there is no such outbox, or it cannot be read.
    """
    connection = open_read_only(path, MIGRATIONS, what="outbox")
    try:
        with explained(path, "outbox"):
            return _depth(connection), _boots(connection)
    finally:
        connection.close()


def _depth(db: sqlite3.Connection) -> Depth:
    total, refused = db.execute("SELECT count(*), count(refused) FROM record").fetchone()
    return Depth(waiting=total - refused, refused=refused, used_bytes=used_bytes(db))


def _boots(db: sqlite3.Connection) -> list[BootState]:
    rows = db.execute("SELECT device_id, boot_id, next_seq, pulled, lost, dropped FROM boot ORDER BY device_id, boot_id").fetchall()
    return [BootState(*row) for row in rows]
