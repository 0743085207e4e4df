"""What a sink will never get, and how it is told: booked per boot in records, reported until the sink has acknowledged the report."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinyfleet.gateway.outbox_schema import WEIGHT, lane_start
from tinyfleet.telemetry import LossReport

REPORTS = 100
"""Loss reports in one delivery, at most."""


@dataclass(slots=True)
class Place:
    """A sink while the outbox is open.

    Attributes:
        positions: Per priority; see the table.
        unanswered: Entries that it was offered and that may be in its far end already: not dropped until there is an answer.
        has_news: Whether there may be losses that it was not told.
    """

    id: int
    name: str
    holds: bool
    region: str | None
    positions: dict[int, int] = field(default_factory=dict)
    unanswered: set[int] = field(default_factory=set)
    has_news: bool = True

    def position(self, priority: int) -> int:
        """All up to it is passed; see the table."""
        return self.positions.get(priority, lane_start(priority))


class Losses:
    """The accounts of an open outbox; all of it belongs to the transaction of its caller."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def between(self, after: int, to: int, *, withheld_from: Place | None = None, given_to: Place | None = None) -> list[Any]:
        """Entries between, by boot: (boot, records, entries); only those that a sink may not have, or only those that it may."""
        region, values = "", []
        if withheld_from is not None:
            region, values = " AND region IS NOT NULL AND region IS NOT ?", [withheld_from.region]
        if given_to is not None:
            region, values = " AND (region IS NULL OR region IS ?)", [given_to.region]
        return self._db.execute(
            f"SELECT boot, sum({WEIGHT}), count(*) FROM queue WHERE entry > ? AND entry <= ?{region} GROUP BY boot", (after, to, *values)
        ).fetchall()

    def charge(self, place: Place, column: str, rows: Sequence[tuple[int | None, int, int]], *, of: str = "waiting") -> None:
        """Book (boot, records, entries) that a sink will never get: per boot in records, in all in entries."""
        if not rows:
            return
        place.has_news = True
        self._db.executemany(
            f"INSERT INTO account (sink, boot, {column}) VALUES (?, ?, ?)"
            f" ON CONFLICT DO UPDATE SET {column} = {column} + excluded.{column}",
            [(place.id, boot, records) for boot, records, _ in rows if boot is not None and records],
        )
        entries = sum(n for _, _, n in rows)
        self._db.execute(f"UPDATE sink SET {of} = {of} - ?, {column} = {column} + ? WHERE id = ?", (entries, entries, place.id))

    def charge_asides(self, place: Place, where: str, values: Sequence[Any]) -> None:
        """Entries that a sink refused or did not answer go."""
        for column, reason in (("waiting", "NULL"), ("refused", "NOT NULL")):
            rows = self._db.execute(
                f"SELECT boot, {WEIGHT}, 1 FROM queue JOIN aside USING (entry) WHERE sink = ? AND reason IS {reason} AND {where}",
                (place.id, *values),
            ).fetchall()
            self.charge(place, "dropped", rows, of=column)

    def reports(self, place: Place) -> list[LossReport]:
        """Boots of which a sink does not know the totals yet; at most 100."""
        rows = self._db.execute(
            "SELECT device_id, boot_id, lost, dropped, boot.filtered + account.filtered AS filtered FROM boot"
            " JOIN account ON account.boot = boot.id WHERE account.sink = ?"
            " AND (lost > reported_lost OR dropped > reported_dropped OR boot.filtered + account.filtered > reported_filtered)"
            " UNION ALL SELECT device_id, boot_id, lost, 0, filtered FROM boot"
            " WHERE (lost > 0 OR filtered > 0) AND id NOT IN (SELECT boot FROM account WHERE sink = ?) LIMIT ?",
            (place.id, place.id, REPORTS),
        ).fetchall()
        return [LossReport(*row) for row in rows]

    def note_report(self, place: Place, report: LossReport) -> None:
        """A sink has acknowledged a report."""
        self._db.execute(
            "INSERT INTO account (sink, boot, reported_lost, reported_dropped, reported_filtered)"
            " SELECT ?, id, ?, ?, ? FROM boot WHERE device_id = ? AND boot_id = ?"
            " ON CONFLICT DO UPDATE SET reported_lost = excluded.reported_lost,"
            " reported_dropped = excluded.reported_dropped, reported_filtered = excluded.reported_filtered",
            (place.id, report.lost, report.dropped, report.filtered, report.device_id, report.boot_id),
        )
