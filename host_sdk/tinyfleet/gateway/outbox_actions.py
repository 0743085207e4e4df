"""What rules want done by others, in the outbox's database: committed with the detection and the cursor, kept until it is done.

A target is one way in which one rule acts. It has an order of its own, so that a receiver that is gone holds up nobody else. Each action
ends as done, given up (the target will never take it) or dropped (too many, too old, its rule is gone), and each of these is counted; who
drops or gives up says so upstream, in an alarm of the same transaction.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyfleet.database import explained
from tinyfleet.gateway.outbox_schema import ALARM, ALARM_PRIORITY, LANES, NewDerived, TargetTotals, lane_start
from tinyfleet.gateway.seal import Seal, SealBroken, unseal_with

log = logging.getLogger(__name__)

BYTES_SHARE = 8
"""All actions that wait have at most this part of the outbox's bound, the same for each target."""
COMMAND = "device"
"""Kind of the target that is the device itself: ``RULE/device``. Its actions wait for their device, and end with its boot."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to be done for a rule.

    Attributes:
        key: Names it for ever, for receivers: who gets one twice did not get two. It names the detection too.
        body: What the detection says.
    """

    id: int
    target: str
    key: str
    device_id: bytes
    boot_id: int
    seq: int
    time_utc_us: int | None
    time_error_us: int | None
    body: dict[str, Any]


class ActionQueue:
    """A part of an outbox; made by it.

    Args:
        path: The outbox's file.
        db: Its database.
        committed: A transaction of it.
        now_s: Its clock for ages.
        seal: Seals what is stored; None: it is not sealed.
        declare: Adds derived records about the gateway itself, within a transaction.
    """

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        *,
        committed: Callable[[], AbstractContextManager[None]],
        now_s: Callable[[], int],
        seal: Callable[[], Seal | None],
        declare: Callable[[Sequence[NewDerived]], None],
    ) -> None:
        self._path = path
        self._db = db
        self._committed = committed
        self._now_s = now_s
        self._seal = seal
        self._declare = declare
        self._max_age_s: dict[str, int] = {}
        self._max_bytes = 0
        self._id_text = ""
        self.alarms = 0
        """How often it was said, since the outbox was opened, that something is not done."""

    def configure(self, max_age_s: Mapping[str, int], *, max_bytes: int, outbox_id: bytes) -> None:
        """Say who acts; within a transaction. What waits for others is dropped.

        Args:
            max_age_s: Names of targets; seconds that gateways ran, after which an action is no use any more.
            max_bytes: The outbox's bound.
            outbox_id: Part of each key.
        """
        self._max_age_s = dict(max_age_s)
        self._max_bytes = max_bytes // BYTES_SHARE // max(1, len(max_age_s))
        self._id_text = outbox_id.hex()
        for (name,) in self._db.execute("SELECT name FROM target").fetchall():
            if name not in max_age_s:
                self._drop(name, "its rule no longer says so", "", ())
                self._db.execute("DELETE FROM target WHERE name = ?", (name,))
        self._db.executemany("INSERT OR IGNORE INTO target (name) VALUES (?)", [(name,) for name in max_age_s])
        for name in max_age_s:
            self._drop_old(name)

    # -- what comes in; within the transaction that commits the detection

    def add(self, boot: int, number: int, derived: NewDerived) -> None:
        """Keep what a detection, which has this number, wants done."""
        for target in derived.targets:
            if target not in self._max_age_s:
                continue  # a rule that was just taken away; what it found goes upstream
            self._drop_old(target)
            (action,) = self._db.execute("SELECT 1 + coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'action'").fetchone()
            seal = self._seal()
            body = derived.body if seal is None else seal.seal(derived.body, *_sealed_as(action, target))
            self._db.execute(
                "INSERT INTO action VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    action, target, target.endswith(f"/{COMMAND}"), boot, number, derived.first_seq, body, seal is not None,
                    derived.time_utc_us, derived.time_error_us, self._now_s(),
                ),
            )  # fmt: skip
            sql = "UPDATE target SET waiting = waiting + 1, waiting_bytes = waiting_bytes + ? WHERE name = ?"
            self._db.execute(sql, (len(body), target))
            self._make_room(target)

    def seal_rest(self, seal: Seal) -> None:
        """Seal what is not sealed yet; within a transaction."""
        for action, target, body in self._db.execute("SELECT id, target, body FROM action WHERE NOT sealed").fetchall():
            sealed = seal.seal(body, *_sealed_as(action, target))
            self._db.execute("UPDATE action SET body = ?, sealed = 1 WHERE id = ?", (sealed, action))
            self._db.execute("UPDATE target SET waiting_bytes = waiting_bytes + ? WHERE name = ?", (len(sealed) - len(body), target))

    def _make_room(self, target: str) -> None:
        """The newest stays in any case."""
        (excess_bytes,) = self._db.execute("SELECT waiting_bytes FROM target WHERE name = ?", (target,)).fetchone()
        excess_bytes -= self._max_bytes
        last = 0
        cursor = self._db.execute("SELECT id, length(body) FROM action WHERE target = ? ORDER BY id", (target,))
        newest = self._db.execute("SELECT max(id) FROM action WHERE target = ?", (target,)).fetchone()[0]
        while excess_bytes > 0 and (row := cursor.fetchone()) is not None and row[0] != newest:
            last, excess_bytes = row[0], excess_bytes - row[1]
        cursor.close()
        if last:
            self._drop(target, f"more than {self._max_bytes} bytes wait", " AND id <= ?", (last,))

    # -- what goes out

    def next(self, target: str, limit: int) -> list[Action]:
        """The first that wait for a target, in the order in which rules acted. Those that are too old are dropped before."""
        with explained(self._path, "outbox"):
            self._commit_drops([target])
            return self._taken("target = ?", (target,), limit)

    def next_commands(self, device_id: bytes, boot_id: int, limit: int) -> list[Action]:
        """The first that wait for a device itself. Those from before its restart are given up: it was told in another state."""
        with explained(self._path, "outbox"):
            over = self._db.execute(
                "SELECT action.id FROM action JOIN boot ON boot.id = action.boot WHERE is_command AND device_id = ? AND boot_id != ?",
                (device_id, boot_id),
            ).fetchall()
            for (action,) in over:
                self.give_up(action, "the device has restarted since")
            self._commit_drops([name for name in self._max_age_s if name.endswith(f"/{COMMAND}")])
            return self._taken("is_command AND device_id = ? AND boot_id = ?", (device_id, boot_id), limit)

    def _taken(self, where: str, values: Sequence[Any], limit: int) -> list[Action]:
        rows = self._db.execute(
            "SELECT action.id, target, number, device_id, boot_id, action.seq, time_utc_us, time_error_us, body, sealed"
            f" FROM action JOIN boot ON boot.id = action.boot WHERE {where} ORDER BY action.id LIMIT ?",
            (*values, limit),
        ).fetchall()
        actions = []
        for action, target, number, device_id, boot_id, seq, time_utc_us, time_error_us, body, sealed in rows:
            try:
                text = unseal_with(self._seal(), body, *_sealed_as(action, target)) if sealed else body
            except SealBroken:
                self.give_up(action, "it was changed on the disk")
                continue
            key = f"{self._id_text}/detection/{number}"
            actions.append(Action(action, target, key, device_id, boot_id, seq, time_utc_us, time_error_us, json.loads(text)))
        return actions if actions or not rows else self._taken(where, values, limit)

    def done(self, action: int) -> None:
        """A target took it. One that is gone already counts as what it was counted as."""
        with self._committed():
            self._end("done", " AND id = ?", (action,), self._target_of(action))

    def give_up(self, action: int, reason: str) -> None:
        """A target will never take it."""
        with self._committed():
            target = self._target_of(action)
            if count := self._end("given_up", " AND id = ?", (action,), target):
                self._alarm(target, "given_up", count, reason)

    def _target_of(self, action: int) -> str:
        row = self._db.execute("SELECT target FROM action WHERE id = ?", (action,)).fetchone()
        return "" if row is None else str(row[0])

    def _has_old(self, target: str) -> bool:
        # Ages come in order: the first is the oldest.
        first = self._db.execute("SELECT age_clock_s FROM action WHERE target = ? ORDER BY id LIMIT 1", (target,)).fetchone()
        return first is not None and first[0] < self._now_s() - self._max_age_s[target]

    def _drop_old(self, target: str) -> None:
        """Within a transaction."""
        if self._has_old(target):
            oldest_s = self._now_s() - self._max_age_s[target]
            self._drop(target, f"older than {self._max_age_s[target]} s", " AND age_clock_s < ?", (oldest_s,))

    def _commit_drops(self, targets: Sequence[str]) -> None:
        if any(self._has_old(target) for target in targets):
            with self._committed():
                for target in targets:
                    self._drop_old(target)

    def _drop(self, target: str, reason: str, where: str, values: Sequence[Any]) -> None:
        if count := self._end("dropped", where, values, target):
            self._alarm(target, "dropped", count, reason)

    def _end(self, column: str, where: str, values: Sequence[Any], target: str) -> int:
        """Count and delete; returns how many."""
        count, size = self._db.execute(
            f"SELECT count(*), coalesce(sum(length(body)), 0) FROM action WHERE target = ?{where}", (target, *values)
        ).fetchone()
        self._db.execute(f"DELETE FROM action WHERE target = ?{where}", (target, *values))
        self._db.execute(
            f"UPDATE target SET waiting = waiting - ?, waiting_bytes = waiting_bytes - ?, {column} = {column} + ? WHERE name = ?",
            (count, size, count, target),
        )
        return int(count)

    def _alarm(self, target: str, column: str, count: int, reason: str) -> None:
        given_up, dropped = self._db.execute("SELECT given_up, dropped FROM target WHERE name = ?", (target,)).fetchone()
        log.error("actions %s target=%s count=%d reason=%s", column.replace("_", " "), target, count, reason)
        body = {"reason": "actions not done", "detail": reason, "target": target, "count": count, "given_up": given_up, "dropped": dropped}
        self.alarms += 1
        self._declare([NewDerived(ALARM, json.dumps(body).encode(), priority=ALARM_PRIORITY)])

    def totals(self) -> list[TargetTotals]:
        """Of each target."""
        return target_totals(self._db)


def target_totals(db: sqlite3.Connection) -> list[TargetTotals]:
    """What an outbox says of its targets."""
    rows = db.execute("SELECT name, waiting, done, given_up, dropped FROM target ORDER BY name").fetchall()
    return [TargetTotals(*row) for row in rows]


def _sealed_as(action: int, target: str) -> tuple[int, str]:
    """Number and identity for the seal; above those of all entries."""
    return lane_start(LANES) + action, f"action/{action}/{target}"
