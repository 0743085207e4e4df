"""What the edge remembers of each boot, in the outbox's database: it changes in the transaction of the cursor.

The edge decides what the bytes mean. What cannot be read any more is put aside alone: the boot's records that waited in it are declared as
dropped, a ``gap`` and an alarm say so, and the edge starts anew; all that is queued stays.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tinyfleet.database import explained, sync_folder
from tinyfleet.gateway.outbox_schema import ALARM, ALARM_PRIORITY, GAP, EdgeChange, NewDerived
from tinyfleet.gateway.seal import Seal, SealBroken, unseal_with
from tinyfleet_codegen.errors import StoreFull

log = logging.getLogger(__name__)

ASIDE = "edge states put aside"
"""Name of the counter."""
SEALED_AS = 0
"""The seal's number of all states; it is not that of an entry, and the seal stands one number for many texts."""


class EdgeStateBroken(Exception):
    """These bytes are no state of the edge."""


class Insert(Protocol):
    """Adds derived records about a boot (None: the gateway itself), within a transaction."""

    def __call__(self, boot: int | None, derived: Sequence[NewDerived], region: str | None) -> None: ...


class EdgeStates:
    """A part of an outbox; made by it.

    Args:
        path: The outbox's file; what is put aside goes beside it.
        db: Its database.
        committed: A transaction of it.
        clock_s: Its clock for ages.
        seal: Seals what is stored; None: it is not sealed.
        insert: See :class:`Insert`.
        drop: Books records (boot, count) that were never queued as dropped for every sink, within a transaction.
        check: Raises :class:`EdgeStateBroken` for a state that cannot be read, and ``StoreError`` for one that a later version wrote.
    """

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        *,
        committed: Callable[[], AbstractContextManager[None]],
        clock_s: Callable[[], float],
        seal: Callable[[], Seal | None],
        insert: Insert,
        drop: Callable[[int, int], None],
        check: Callable[[bytes], None],
    ) -> None:
        self._path = path
        self._db = db
        self._committed = committed
        self._clock_s = clock_s
        self._seal = seal
        self._insert = insert
        self._drop = drop
        self._check = check

    def refuse_newer(self) -> None:
        """Look at all that is stored, and change nothing.

        Raises:
            StoreError: a later version of this software wrote it.
        """
        for boot, stored, sealed in self._db.execute("SELECT boot, state, sealed FROM edge").fetchall():
            try:
                self._check(self._unsealed(boot, stored, sealed))
            except (EdgeStateBroken, SealBroken):
                continue  # put aside when it is needed

    def of(self, device_id: bytes, boot_id: int) -> bytes | None:
        """What the edge remembers of a boot; None: nothing, or nothing that can be read."""
        with explained(self._path, "outbox"):
            row = self._db.execute(
                "SELECT edge.boot, state, sealed, region FROM edge JOIN boot ON edge.boot = boot.id WHERE device_id = ? AND boot_id = ?",
                (device_id, boot_id),
            ).fetchone()
        if row is None:
            return None
        state = self._read(*row[:3])
        if state is None:
            with self._committed():
                self._put_aside(row[0], row[1], row[3])
        return state

    def change(self, boot: int, change: EdgeChange, region: str | None) -> bool:
        """Take over what the edge remembers now, within a transaction; False: it is not what it remembered before."""
        row = self._db.execute("SELECT boot, state, sealed FROM edge WHERE boot = ?", (boot,)).fetchone()
        try:
            before = None if row is None else self._unsealed(*row)
        except SealBroken:
            return False
        if before != change.before:
            return False
        if change.after is None:
            self._db.execute("DELETE FROM edge WHERE boot = ?", (boot,))
        else:
            seal = self._seal()
            state = change.after if seal is None else seal.seal(change.after, SEALED_AS, f"edge/{boot}")
            values = (boot, state, seal is not None, region, int(self._clock_s()), change.is_open)
            self._db.execute("INSERT OR REPLACE INTO edge VALUES (?, ?, ?, ?, ?, ?)", values)
        return True

    def close(self, close: Callable[[bytes], tuple[list[NewDerived], bytes | None]], idle_s: float) -> int:
        """End what is open of boots from which nothing came for a while.

        Args:
            close: From what the edge remembers to what is delivered, and what is left to remember.
            idle_s: Seconds without a change.

        Returns:
            How many derived records that made.
        """
        made = 0
        with self._committed():
            rows = self._db.execute(
                f"SELECT boot, state, sealed, region, {_IS_LATEST} FROM edge WHERE age_clock_s <= ? AND (is_open OR NOT {_IS_LATEST})",
                (int(self._clock_s()) - idle_s,),
            ).fetchall()
            for boot, stored, sealed, region, is_latest in rows:
                state = self._read(boot, stored, sealed)
                if state is None:
                    self._put_aside(boot, stored, region)
                    made += 1
                    continue
                derived, left = close(state)
                self._db.execute("UPDATE boot SET pulled = pulled + ? WHERE id = ?", (sum(d.count for d in derived), boot))
                self._insert(boot, derived, region)
                made += len(derived)
                self.change(boot, EdgeChange(state, left if is_latest else None, is_open=False), region)
        return made

    def due_s(self, idle_s: float) -> float | None:
        """Seconds until :meth:`close` with the same ``idle_s`` has something to do; None: it has not."""
        with explained(self._path, "outbox"):
            row = self._db.execute(f"SELECT min(age_clock_s) FROM edge WHERE is_open OR NOT {_IS_LATEST}").fetchone()
        return None if row[0] is None else max(0.0, math.ceil(row[0] + idle_s) - self._clock_s())

    def seal_rest(self, seal: Seal) -> None:
        """Seal what is not sealed yet; within a transaction."""
        for boot, state in self._db.execute("SELECT boot, state FROM edge WHERE NOT sealed").fetchall():
            self._db.execute("UPDATE edge SET state = ?, sealed = 1 WHERE boot = ?", (seal.seal(state, SEALED_AS, f"edge/{boot}"), boot))

    def _read(self, boot: int, stored: bytes, sealed: int) -> bytes | None:
        """None: it cannot be read."""
        try:
            state = self._unsealed(boot, stored, sealed)
            self._check(state)
        except (EdgeStateBroken, SealBroken):
            return None
        return state

    def _unsealed(self, boot: int, stored: bytes, sealed: int) -> bytes:
        return unseal_with(self._seal(), stored, SEALED_AS, f"edge/{boot}") if sealed else stored

    def _put_aside(self, boot: int, stored: bytes, region: str | None) -> None:
        device_id, boot_id, next_seq, pulled, lost = self._db.execute(
            "SELECT device_id, boot_id, next_seq, pulled, lost FROM boot WHERE id = ?", (boot,)
        ).fetchone()
        kept_in = self._keep(stored)
        # Pulled and in no total: they waited in what cannot be read.
        count = max(0, next_seq - pulled - lost)
        log.error("edge state damaged, put aside device=%s boot=%d records=%d file=%s", device_id.hex(), boot_id, count, kept_in)
        self._db.execute("DELETE FROM edge WHERE boot = ?", (boot,))
        if count:
            self._db.execute("UPDATE boot SET pulled = pulled + ? WHERE id = ?", (count, boot))
            self._drop(boot, count)
            body = json.dumps({"reason": "edge state damaged"}).encode()
            self._insert(boot, [NewDerived(GAP, body, 0, next_seq - 1, count)], region)
        self._db.execute("INSERT INTO counter VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1", (ASIDE,))
        detail = f"what was remembered of boot {boot_id} of device {device_id.hex()} could not be read"
        body = json.dumps({"reason": "edge state damaged", "detail": detail, "records": count, "kept_in": kept_in}).encode()
        self._insert(None, [NewDerived(ALARM, body, priority=ALARM_PRIORITY)], None)

    def _keep(self, stored: bytes) -> str:
        number = 1
        while (path := self._path.with_name(f"edge.damaged-{number}")).exists():
            number += 1
        try:
            with path.open("xb") as file:
                file.write(stored)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)
        except OSError as error:
            raise StoreFull(f"cannot keep a damaged state of the edge as {path}: {error.strerror}") from error
        return path.name


def states_put_aside(db: sqlite3.Connection) -> int:
    """How many states an outbox has put aside."""
    row = db.execute("SELECT value FROM counter WHERE name = ?", (ASIDE,)).fetchone()
    return 0 if row is None else int(row[0])


_IS_LATEST = "edge.boot IN (SELECT max(id) FROM boot GROUP BY device_id)"
