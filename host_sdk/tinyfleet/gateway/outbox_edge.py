"""What the edge remembers of boots, sealed like payloads."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tinyfleet.gateway.outbox_schema import EdgeChange
from tinyfleet.gateway.seal import Seal, SealBroken
from tinyfleet_codegen.errors import StoreDamaged


class EdgeMemory:
    """The table ``edge`` of an open outbox; what writes belongs to the transaction of its caller.

    Attributes:
        seal: Seals what is written from now on; None: it is not sealed.
    """

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self.seal: Seal | None = None

    def of_boot(self, device_id: bytes, boot_id: int) -> bytes | None:
        """What is remembered of a boot; None: nothing."""
        row = self._db.execute(
            "SELECT edge.boot, state, sealed FROM edge JOIN boot ON edge.boot = boot.id WHERE device_id = ? AND boot_id = ?",
            (device_id, boot_id),
        ).fetchone()
        return None if row is None else self._unsealed(*row)

    def _unsealed(self, boot: int, state: bytes, sealed: int) -> bytes:
        if not sealed:
            return state
        try:
            if self.seal is None:
                raise SealBroken
            return self.seal.unseal(state, 0, f"edge/{boot}")
        except SealBroken as error:
            raise StoreDamaged(f"outbox {self._path}: what the edge remembers was changed on the disk") from error

    def change(self, boot: int, change: EdgeChange, region: str | None, now_s: int) -> bool:
        """Remember something else of a boot (its number in the table); False: what was remembered is not what the change says."""
        row = self._db.execute("SELECT boot, state, sealed FROM edge WHERE boot = ?", (boot,)).fetchone()
        if (None if row is None else self._unsealed(*row)) != change.before:
            return False
        if change.after is None:
            self._db.execute("DELETE FROM edge WHERE boot = ?", (boot,))
        else:
            # The seal stands one number for many texts; it is not that of an entry.
            state = change.after if self.seal is None else self.seal.seal(change.after, 0, f"edge/{boot}")
            self._db.execute("INSERT OR REPLACE INTO edge VALUES (?, ?, ?, ?, ?)", (boot, state, self.seal is not None, region, now_s))
        return True

    def idle(self, latest_s: float) -> list[tuple[int, bytes, str | None, bool]]:
        """Boots whose memory has not changed since then: number in the table, memory, region, whether it is its device's latest boot."""
        rows = self._db.execute(
            "SELECT boot, state, sealed, region, boot IN (SELECT max(id) FROM boot GROUP BY device_id) FROM edge WHERE age_clock_s <= ?",
            (latest_s,),
        ).fetchall()
        return [(row[0], self._unsealed(*row[:3]), row[3], bool(row[4])) for row in rows]

    def seal_rest(self, seal: Seal) -> None:
        """Seal what was remembered before there was a key."""
        rows = self._db.execute("SELECT boot, state FROM edge WHERE NOT sealed").fetchall()
        sealed = [(seal.seal(state, 0, f"edge/{boot}"), boot) for boot, state in rows]
        self._db.executemany("UPDATE edge SET state = ?, sealed = 1 WHERE boot = ?", sealed)
