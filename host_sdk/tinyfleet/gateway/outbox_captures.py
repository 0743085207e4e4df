"""Windows that are wanted from devices, in the outbox's database: wanted in the transaction of the record, kept until fetched or given up.

Each wish ends once, counted: as fetched, in the transaction that queues the window, or for one of the reasons why there will be none. So a
gateway that is killed at any point neither fetches a window twice into the queue, nor forgets one, nor spends a day's bytes again.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tinyfleet.database import explained
from tinyfleet.gateway.outbox_schema import CaptureTotals, NewDerived, WantedWindow

DAY_S = 86_400
MOST_WAITING = 256
"""Wishes of one boot; of more, the oldest are given up: the device keeps the newest."""


class Outcome(enum.StrEnum):
    """How a wish ends; each is a column."""

    FETCHED = "fetched"
    """The window is in the queue."""
    GONE = "gone"
    """The device no longer had it."""
    OVER_BUDGET = "over_budget"
    """The day's bytes are spent."""
    NOT_KEPT = "not_kept"
    """The device's firmware keeps no windows."""
    GIVEN_UP = "given_up"
    """Too many waited, it is too large, the device did not hand it out, or the configuration no longer wants it."""


class Queue(Protocol):
    """Adds derived records about a boot within the bounds and a transaction; raises OutboxFull."""

    def __call__(self, boot: int, derived: Sequence[NewDerived], region: str | None) -> None: ...


class Captures:
    """A part of an outbox; made by it.

    Args:
        path: The outbox's file.
        db: Its database.
        committed: A transaction of it.
        queue: See :class:`Queue`.
        model: A model's number in the table, from its id.
    """

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        *,
        committed: Callable[[], AbstractContextManager[None]],
        queue: Queue,
        model: Callable[[bytes | None], int | None],
    ) -> None:
        self._path = path
        self._db = db
        self._committed = committed
        self._queue = queue
        self._model = model

    def add(self, boot: int, wanted: Sequence[WantedWindow]) -> None:
        """Keep what is wanted of a boot; within the transaction that commits the records. What was wanted before is not wanted twice."""
        if not wanted:
            return
        made = 0
        for w in wanted:
            row = (boot, w.seq, w.time_utc_us, w.time_error_us, self._model(w.model_id))
            made += self._db.execute("INSERT OR IGNORE INTO capture VALUES (?, ?, ?, ?, ?)", row).rowcount
        self._count(boot, "wanted", made)
        (waiting,) = self._db.execute("SELECT count(*) FROM capture WHERE boot = ?", (boot,)).fetchone()
        oldest = "boot = ? AND seq IN (SELECT seq FROM capture WHERE boot = ? ORDER BY seq LIMIT ?)"
        self._end(oldest, (boot, boot, max(0, waiting - MOST_WAITING)), Outcome.GIVEN_UP)

    def begin(self, device_id: bytes, boot_id: int) -> list[WantedWindow]:
        """A device is in this boot: what it had in others is gone. Returns what is still wanted of it, in the order of its records."""
        with explained(self._path, "outbox"):
            of_device = "boot IN (SELECT id FROM boot WHERE device_id = ? AND boot_id {} ?)"
            if self._db.execute(f"SELECT 1 FROM capture WHERE {of_device.format('!=')} LIMIT 1", (device_id, boot_id)).fetchone():
                with self._committed():
                    self._end(of_device.format("!="), (device_id, boot_id), Outcome.GONE)
            rows = self._db.execute(
                "SELECT seq, time_utc_us, time_error_us, model_id FROM capture LEFT JOIN model ON model.id = capture.model"
                f" WHERE {of_device.format('=')} ORDER BY seq",
                (device_id, boot_id),
            ).fetchall()
        return [WantedWindow(*row) for row in rows]

    def spent_bytes(self, device_id: bytes, day: int) -> int:
        """Bytes of windows that were fetched from a device on that day, counted from 1970 in UTC."""
        with explained(self._path, "outbox"):
            row = self._db.execute("SELECT day_bytes FROM captured WHERE device_id = ? AND day = ?", (device_id, day)).fetchone()
        return 0 if row is None else int(row[0])

    def end(self, device_id: bytes, boot_id: int, outcome: Outcome, seq: int | None = None) -> None:
        """There will be no such window; ``seq`` None: none of that boot. One that has ended already stays as it was counted."""
        where, values = "boot IN (SELECT id FROM boot WHERE device_id = ? AND boot_id = ?)", (device_id, boot_id)
        with self._committed():
            if seq is None:
                self._end(where, values, outcome)
            else:
                self._end(f"{where} AND seq = ?", (*values, seq), outcome)

    def keep(
        self,
        device_id: bytes,
        boot_id: int,
        derived: NewDerived,
        *,
        window_bytes: int,
        day: int,
        budget_bytes: int,
        region: str | None,
    ) -> Outcome | None:
        """Queue a window that was fetched, and count its bytes; or count that it is beyond the budget.

        Args:
            derived: Of the one record that it is about.
            window_bytes: What counts against the budget.
            day: Today, counted from 1970 in UTC.
            budget_bytes: For one day.
            region: Where it may go; see :meth:`tinyfleet.gateway.outbox.Outbox.append`.

        Returns:
            How the wish ended; None: nobody waits for it any more, and nothing was done.

        Raises:
            OutboxFull: see ``append``; the wish goes on waiting.
        """
        with self._committed():
            row = self._db.execute(
                "SELECT boot.id FROM capture JOIN boot ON boot.id = capture.boot WHERE device_id = ? AND boot_id = ? AND seq = ?",
                (device_id, boot_id, derived.first_seq),
            ).fetchone()
            if row is None:
                return None
            is_within = self.spent_bytes(device_id, day) + window_bytes <= budget_bytes
            outcome = Outcome.FETCHED if is_within else Outcome.OVER_BUDGET
            if is_within:
                self._queue(row[0], [derived], region)
                self._db.execute(
                    "UPDATE captured SET day_bytes = CASE day WHEN ? THEN day_bytes ELSE 0 END + ?, day = ?, bytes = bytes + ?"
                    " WHERE device_id = ?",
                    (day, window_bytes, day, window_bytes, device_id),
                )
            self._end("boot = ? AND seq = ?", (row[0], derived.first_seq), outcome)
            return outcome

    def _end(self, where: str, values: Sequence[object], outcome: Outcome) -> None:
        counts = self._db.execute(f"SELECT boot, count(*) FROM capture WHERE {where} GROUP BY boot", values).fetchall()
        self._db.execute(f"DELETE FROM capture WHERE {where}", values)
        for boot, count in counts:
            self._count(boot, outcome.value, count)

    def _count(self, boot: int, column: str, count: int) -> None:
        if count:
            self._db.execute(
                f"INSERT INTO captured (device_id, {column}) SELECT device_id, ? FROM boot WHERE id = ?"
                f" ON CONFLICT DO UPDATE SET {column} = {column} + excluded.{column}",
                (count, boot),
            )


def capture_totals(db: sqlite3.Connection) -> list[CaptureTotals]:
    """What an outbox says of windows, by device."""
    columns = ", ".join(("device_id", "wanted", *(outcome.value for outcome in Outcome), "bytes", "day", "day_bytes"))
    rows = db.execute(f"SELECT {columns} FROM captured ORDER BY device_id").fetchall()
    return [CaptureTotals(*row) for row in rows]
