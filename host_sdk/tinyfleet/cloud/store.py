"""The cloud's database: one row per record identity, decided in the transaction that stores it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinyfleet.cloud_events import LossEvent
from tinyfleet.database import explained, open_database, transaction
from tinyfleet.telemetry import DerivedEnvelope, Envelope, OutputMeaning, RecordIdentity
from tinyfleet_codegen.errors import ConfigError
from tinyfleet_codegen.wire.ids import DType

CLOUD_FILE = "cloud.db"
"""Name of the database in the cloud's data folder."""

MIGRATIONS = (
    """
    CREATE TABLE record (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        device_id BLOB NOT NULL,
        boot_id INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        record BLOB NOT NULL,
        time_utc_us INTEGER,
        time_error_us INTEGER,
        model_id BLOB,
        gateway_id TEXT NOT NULL,
        outbox_id BLOB NOT NULL,
        entry INTEGER NOT NULL,
        received_utc_us INTEGER NOT NULL,
        UNIQUE (device_id, boot_id, seq)
    );
    CREATE INDEX record_by_device ON record (device_id, id);
    CREATE TABLE alarm (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        device_id BLOB NOT NULL,
        boot_id INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        record BLOB NOT NULL,
        gateway_id TEXT NOT NULL,
        outbox_id BLOB NOT NULL,
        entry INTEGER NOT NULL,
        received_utc_us INTEGER NOT NULL,
        UNIQUE (device_id, boot_id, seq, record)
    );
    CREATE TABLE loss (
        outbox_id BLOB NOT NULL,
        device_id BLOB NOT NULL,
        boot_id INTEGER NOT NULL,
        gateway_id TEXT NOT NULL,
        lost INTEGER NOT NULL,
        dropped INTEGER NOT NULL,
        PRIMARY KEY (outbox_id, device_id, boot_id)
    ) WITHOUT ROWID;
    CREATE TABLE model (
        model_id BLOB PRIMARY KEY,
        name TEXT NOT NULL,
        labels TEXT NOT NULL,
        dtype INTEGER NOT NULL,
        scale REAL NOT NULL,
        zero_point INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE total (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE derived (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        number INTEGER NOT NULL,
        device_id BLOB,
        boot_id INTEGER,
        first_seq INTEGER,
        last_seq INTEGER,
        count INTEGER NOT NULL,
        body BLOB NOT NULL,
        time_utc_us INTEGER,
        time_error_us INTEGER,
        model_id BLOB,
        gateway_id TEXT NOT NULL,
        outbox_id BLOB NOT NULL,
        entry INTEGER NOT NULL,
        received_utc_us INTEGER NOT NULL,
        UNIQUE (outbox_id, kind, number)
    );
    CREATE TABLE derived_alarm (
        outbox_id BLOB NOT NULL,
        kind TEXT NOT NULL,
        number INTEGER NOT NULL,
        body BLOB NOT NULL,
        received_utc_us INTEGER NOT NULL,
        PRIMARY KEY (outbox_id, kind, number, body)
    ) WITHOUT ROWID;
    ALTER TABLE loss ADD COLUMN filtered INTEGER NOT NULL DEFAULT 0
    """,
)
"""``record``, ``derived``: first content of an identity; ``alarm``, ``derived_alarm``: other content of an identity that is stored;
``loss``: what outboxes report."""

_DERIVED = (
    "kind, number, device_id, boot_id, first_seq, last_seq, count, body, time_utc_us, time_error_us, model_id, gateway_id, outbox_id,"
    " entry, received_utc_us"
)
TOTALS = ("redelivered", "duplicated", "refused")


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one batch; every record and derived record is in exactly one of the counts.

    Attributes:
        stored: New identities of records.
        derived: New identities of derived records.
        redelivered: The same entry of the same outbox again: an acknowledgement was lost on the way. Suppressed.
        duplicated: Same identity, same bytes, by another entry or another outbox. Suppressed.
        alarms: Same identity, other bytes. Kept in the alarm table.
    """

    stored: int
    derived: int
    redelivered: int
    duplicated: int
    alarms: int


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One row: the envelope, its row number and when it came."""

    id: int
    envelope: Envelope
    received_utc_us: int


@dataclass(frozen=True, slots=True)
class StoredDerived:
    """One derived record, its row number and when it came."""

    id: int
    envelope: DerivedEnvelope
    received_utc_us: int


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One boot of one device as the cloud sees it; seqs and ``last_id`` (row number) are None without a record.

    Attributes:
        lost: Overwritten on the device before a gateway pulled them, as reported.
        dropped: Removed from full outboxes, as reported.
        filtered: Left out by gateways on purpose, as reported.
    """

    device_id: bytes
    boot_id: int
    stored: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    last_id: int | None = None
    lost: int = 0
    dropped: int = 0
    filtered: int = 0


class CloudStore:
    """One cloud database. Calls belong to one thread at a time.

    Args:
        path: The file; made when it is absent.

    Raises:
        StoreError: see :func:`tinyfleet.database.open_database`; all methods raise it when the disk fails or is full, and
            then nothing of the call has happened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_database(path, MIGRATIONS, what="cloud database")

    def close(self) -> None:
        """Close the database; the file stays."""
        self._db.close()

    def ingest(self, envelopes: Sequence[Envelope | DerivedEnvelope], losses: Sequence[LossEvent], *, refused: int) -> Ingested:
        """Store a batch in one transaction. When this returns, all of it is on the disk.

        Args:
            envelopes: Records and derived records that were checked.
            losses: What outboxes say they will never deliver.
            refused: Records of the delivery that were not acceptable; only counted.
        """
        now_us = time.time_ns() // 1000
        counts = dict.fromkeys(("stored", "derived", "redelivered", "duplicated", "alarms"), 0)
        with explained(self.path, "cloud database"), transaction(self._db):
            for envelope in envelopes:
                ingest = self._ingest_record if isinstance(envelope, Envelope) else self._ingest_derived
                counts[ingest(envelope, now_us)] += 1  # type: ignore[arg-type]
            self._db.executemany(
                "INSERT INTO loss VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET lost = max(lost, excluded.lost),"
                " dropped = max(dropped, excluded.dropped), filtered = max(filtered, excluded.filtered)",
                [(e.outbox_id, r.device_id, r.boot_id, e.gateway_id, r.lost, r.dropped, r.filtered) for e in losses for r in (e.report,)],
            )
            for name, count in (("redelivered", counts["redelivered"]), ("duplicated", counts["duplicated"]), ("refused", refused)):
                if count:
                    self._db.execute(
                        "INSERT INTO total VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count", (name, count)
                    )
        return Ingested(**counts)

    def _ingest_record(self, envelope: Envelope, now_us: int) -> str:
        e, i = envelope, envelope.identity
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO record (device_id, boot_id, seq, record, time_utc_us, time_error_us, model_id,"
            " gateway_id, outbox_id, entry, received_utc_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                i.device_id,
                i.boot_id,
                i.seq,
                e.record,
                e.time_utc_us,
                e.time_error_us,
                e.model_id,
                e.gateway_id,
                e.outbox_id,
                e.entry,
                now_us,
            ),
        )
        if inserted.rowcount == 1:
            return "stored"
        record, outbox_id, entry = self._db.execute(
            "SELECT record, outbox_id, entry FROM record WHERE device_id = ? AND boot_id = ? AND seq = ?", (i.device_id, i.boot_id, i.seq)
        ).fetchone()
        if record == e.record:
            return "redelivered" if (outbox_id, entry) == (e.outbox_id, e.entry) else "duplicated"
        self._db.execute(
            "INSERT OR IGNORE INTO alarm (device_id, boot_id, seq, record, gateway_id, outbox_id, entry, received_utc_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (i.device_id, i.boot_id, i.seq, e.record, e.gateway_id, e.outbox_id, e.entry, now_us),
        )
        return "alarms"

    def _ingest_derived(self, envelope: DerivedEnvelope, now_us: int) -> str:
        e = envelope
        identity = (e.outbox_id, e.kind, e.number)
        content = (e.device_id, e.boot_id, e.first_seq, e.last_seq, e.count, e.body)
        inserted = self._db.execute(
            f"INSERT OR IGNORE INTO derived ({_DERIVED}) VALUES ({', '.join('?' * 15)})",
            (e.kind, e.number, *content, e.time_utc_us, e.time_error_us, e.model_id, e.gateway_id, e.outbox_id, e.entry, now_us),
        )
        if inserted.rowcount == 1:
            return "derived"
        *known, entry = self._db.execute(
            "SELECT device_id, boot_id, first_seq, last_seq, count, body, entry FROM derived"
            " WHERE outbox_id = ? AND kind = ? AND number = ?",
            identity,
        ).fetchone()
        if tuple(known) == content:
            return "redelivered" if entry == e.entry else "duplicated"
        self._db.execute("INSERT OR IGNORE INTO derived_alarm VALUES (?, ?, ?, ?, ?)", (*identity, e.body, now_us))
        return "alarms"

    def totals(self) -> dict[str, int]:
        """All counts since this database was made.

        stored, derived, covered (records that derived ones stand for), redelivered, duplicated, refused, alarms, lost, dropped, filtered,
        devices.
        """
        with explained(self.path, "cloud database"):
            counts = dict.fromkeys(TOTALS, 0) | dict(self._db.execute("SELECT name, count FROM total").fetchall())
            row = self._db.execute(
                "SELECT (SELECT count(*) FROM record), (SELECT count(DISTINCT device_id) FROM record),"
                " (SELECT count(*) FROM alarm) + (SELECT count(*) FROM derived_alarm),"
                " (SELECT count(*) FROM derived), (SELECT coalesce(sum(count), 0) FROM derived), l.*"
                " FROM (SELECT coalesce(sum(lost), 0), coalesce(sum(dropped), 0), coalesce(sum(filtered), 0) FROM loss) AS l"
            ).fetchone()
            counts |= zip(("stored", "devices", "alarms", "derived", "covered", "lost", "dropped", "filtered"), row, strict=True)
        return counts

    def devices(self) -> list[DeviceRow]:
        """Every boot of every device that sent a record or a report."""
        with explained(self.path, "cloud database"):
            rows = self._db.execute(
                "SELECT device_id, boot_id, count(*), min(seq), max(seq), max(id) FROM record GROUP BY device_id, boot_id"
            ).fetchall()
            losses = self._db.execute(
                "SELECT device_id, boot_id, sum(lost), sum(dropped), sum(filtered) FROM loss GROUP BY device_id, boot_id"
            ).fetchall()
        found = {(row[0], row[1]): DeviceRow(*row) for row in rows}
        for device_id, boot_id, lost, dropped, filtered in losses:
            row = found.get((device_id, boot_id), DeviceRow(device_id, boot_id))
            found[device_id, boot_id] = replace(row, lost=lost, dropped=dropped, filtered=filtered)
        return [found[key] for key in sorted(found)]

    def records(self, *, device_id: bytes | None = None, after: int = 0, limit: int = 500) -> list[StoredRecord]:
        """Rows with a number above ``after``, oldest first."""
        return self._select(device_id, "ORDER BY id", after, limit)

    def derived(self, *, after: int = 0, limit: int = 500) -> list[StoredDerived]:
        """Derived records with a row number above ``after``, oldest first."""
        with explained(self.path, "cloud database"):
            rows = self._db.execute(f"SELECT id, {_DERIVED} FROM derived WHERE id > ? ORDER BY id LIMIT ?", (after, limit)).fetchall()
        return [StoredDerived(r[0], DerivedEnvelope(*r[1:15]), r[15]) for r in rows]

    def last_records(self, *, device_id: bytes | None = None, limit: int = 100) -> list[StoredRecord]:
        """The newest rows, oldest of them first."""
        return self._select(device_id, "ORDER BY id DESC", 0, limit)[::-1]

    def _select(self, device_id: bytes | None, order: str, after: int, limit: int) -> list[StoredRecord]:
        device = "" if device_id is None else " AND device_id = ?"
        values: list[Any] = [after] if device_id is None else [after, device_id]
        with explained(self.path, "cloud database"):
            rows = self._db.execute(
                "SELECT id, device_id, boot_id, seq, record, time_utc_us, time_error_us, model_id, gateway_id, outbox_id, entry,"
                f" received_utc_us FROM record WHERE id > ?{device} {order} LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [StoredRecord(r[0], Envelope(RecordIdentity(*r[1:4]), *r[4:11]), r[11]) for r in rows]

    def alarms(self, limit: int = 100) -> list[tuple[RecordIdentity, bytes, str, int]]:
        """The newest alarms: identity, the bytes that clash, gateway, time of arrival."""
        with explained(self.path, "cloud database"):
            rows = self._db.execute(
                "SELECT device_id, boot_id, seq, record, gateway_id, received_utc_us FROM alarm ORDER BY id DESC LIMIT ?", (limit,)
            ).fetchall()
        return [(RecordIdentity(*r[:3]), r[3], r[4], r[5]) for r in rows]

    def register_model(self, model_id: bytes, meaning: OutputMeaning) -> None:
        """Say what a model's outputs mean. Repeating it is fine; its name may change.

        Raises:
            ConfigError: the same model_id is known with other labels or another output decoding.
        """
        known = self.models().get(model_id)
        if known is not None and (known.labels, known.dtype, known.scale, known.zero_point) != (
            meaning.labels, meaning.dtype, meaning.scale, meaning.zero_point,
        ):  # fmt: skip
            raise ConfigError(f"model {model_id.hex()} is registered with other labels or another output decoding")
        with explained(self.path, "cloud database"), transaction(self._db):
            self._db.execute(
                "INSERT INTO model VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name",
                (model_id, meaning.name, json.dumps(meaning.labels), int(meaning.dtype), meaning.scale, meaning.zero_point),
            )

    def models(self) -> dict[bytes, OutputMeaning]:
        """Every registered model."""
        with explained(self.path, "cloud database"):
            rows = self._db.execute("SELECT model_id, name, labels, dtype, scale, zero_point FROM model").fetchall()
        return {r[0]: OutputMeaning(r[1], tuple(json.loads(r[2])), DType(r[3]), r[4], r[5]) for r in rows}
