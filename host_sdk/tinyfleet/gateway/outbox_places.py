"""Where each sink is in the queue: what it was offered, what it has passed, and what nobody needs any more."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from tinyfleet.gateway.outbox_losses import Losses, Place
from tinyfleet.gateway.outbox_schema import WEIGHT, SinkPlace, lane_of, lane_start

log = logging.getLogger(__name__)


class Places:
    """The sinks of an open outbox; what writes belongs to the transaction of its caller.

    Attributes:
        by_name: The sinks.
        has_regions: Whether there ever was an entry that only sinks of a region may have.
        answered: Taken from ``unanswered`` by what is not committed yet.
    """

    def __init__(self, db: sqlite3.Connection, losses: Losses) -> None:
        self._db = db
        self.losses = losses
        self.by_name: dict[str, Place] = {}
        self.has_regions = False
        self.answered: list[tuple[Place, set[int]]] = []

    def configure(self, sinks: Sequence[SinkPlace]) -> None:
        """From now on these sinks; see :class:`tinyfleet.gateway.outbox.Outbox`. Positions are read by :meth:`load`."""
        known = dict(self._db.execute("SELECT name, id FROM sink").fetchall())
        total = self._db.execute("SELECT count(*) FROM queue").fetchone()[0] if any(s.name not in known for s in sinks) else 0
        for sink in sinks:
            if sink.name in known:
                self._db.execute("UPDATE sink SET holds = ? WHERE name = ?", (sink.holds, sink.name))
            elif "" in known:
                # What version 1 delivered went to the one sink that there was.
                del known[""]
                self._db.execute("UPDATE sink SET name = ?, holds = ? WHERE name = ''", (sink.name, sink.holds))
            else:
                self._db.execute("INSERT INTO sink (name, holds, waiting) VALUES (?, ?, ?)", (sink.name, sink.holds, total))
        for name in known.keys() - {s.name for s in sinks}:
            log.info("sink forgotten name=%s", name or "-")
            for table in ("position", "aside", "account"):
                self._db.execute(f"DELETE FROM {table} WHERE sink = ?", (known[name],))
            self._db.execute("DELETE FROM sink WHERE id = ?", (known[name],))
        before = self.by_name
        self.by_name = {}
        for sink in sinks:
            (sink_id,) = self._db.execute("SELECT id FROM sink WHERE name = ?", (sink.name,)).fetchone()
            was = before.get(sink.name)
            unanswered = was.unanswered if was is not None and was.region == sink.region else set()
            self.by_name[sink.name] = Place(sink_id, sink.name, sink.holds, sink.region, unanswered=unanswered)

    def load(self) -> None:
        """Read what is kept in memory of the tables."""
        by_id = {place.id: place for place in self.by_name.values()}
        for place in by_id.values():
            place.positions.clear()
            place.has_news = True
        for sink, priority, entry in self._db.execute("SELECT sink, priority, entry FROM position").fetchall():
            if sink in by_id:
                by_id[sink].positions[priority] = entry

    def take_back(self, mark: int) -> None:
        """The transaction in which ``answered`` grew beyond ``mark`` was rolled back; positions are read again by :meth:`load`."""
        for place, entries in self.answered[mark:]:
            place.unanswered |= entries
        del self.answered[mark:]

    def expect_reports(self) -> None:
        """Something was lost that every sink is told."""
        for place in self.by_name.values():
            place.has_news = True

    def drop_unqueued(self, boot: int, records: int) -> None:
        """Records that were pulled and never queued are gone for every sink."""
        for place in self.by_name.values():
            self.losses.charge(place, "dropped", [(boot, records, 0)])

    def _floor(self, priority: int) -> int:
        """Up to here every sink that holds entries has been."""
        return min((p.position(priority) for p in self.by_name.values() if p.holds), default=lane_start(priority))

    def _move(self, place: Place, priority: int, position: int) -> None:
        place.positions[priority] = position
        self._db.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (place.id, priority, position))

    def advance(self, place: Place, priority: int, position: int, named: Collection[int]) -> None:
        """Move a sink's place. What it was offered before it without an answer is offered again, what it may not have is counted."""
        before, floor = place.position(priority), self._floor(priority)
        silent = [e for e in place.unanswered if before < e <= position and e not in named]
        self._db.executemany("INSERT OR IGNORE INTO aside VALUES (?, ?, NULL)", [(e, place.id) for e in silent])
        if self.has_regions:
            self.losses.charge(place, "filtered", self.losses.between(before, position, withheld_from=place))
        self._move(place, priority, position)
        self.free(priority, floor)

    def free(self, priority: int, after: int) -> None:
        """Delete what lies between and no sink that holds entries needs; a sink that is behind without holding has missed it."""
        floor = self._floor(priority)
        for place in self.by_name.values():
            if not place.holds and place.position(priority) < floor:
                self._miss(place, priority, floor)
        self._free_between(after, floor)

    def _free_between(self, after: int, to: int) -> None:
        if to <= after:
            return
        needed = "entry NOT IN (SELECT entry FROM aside JOIN sink ON sink.id = aside.sink WHERE holds AND entry > ? AND entry <= ?)"
        where, values = f"entry > ? AND entry <= ? AND {needed}", (after, to, after, to)
        for place in self.by_name.values():
            if not place.holds:
                self.losses.charge_asides(place, where, values)
                self.forget_offer(place, {e for e in place.unanswered if after < e <= to})
        for table in ("queue", "aside"):
            self._db.execute(f"DELETE FROM {table} WHERE {where}", values)

    def free_unneeded(self, entries: Collection[int]) -> None:
        """Delete those entries that every sink has passed and none needs any more."""
        for entry in entries:
            self._free_between(entry - 1, min(entry, self._floor(lane_of(entry))))

    def _miss(self, place: Place, priority: int, floor: int) -> None:
        position = place.position(priority)
        self.losses.charge(place, "dropped", self.losses.between(position, floor, given_to=place))
        self.losses.charge(place, "filtered", self.losses.between(position, floor, withheld_from=place))
        self.forget_offer(place, {e for e in place.unanswered if position < e <= floor})
        self._move(place, priority, floor)

    def pass_withheld(self, place: Place, lanes: Mapping[int, int]) -> None:
        """Nothing is left that a sink may have: go past the rest, and what was set aside before its region was this."""
        for priority, next_entry in lanes.items():
            if next_entry - 1 > place.position(priority):
                self.advance(place, priority, next_entry - 1, ())
        aside = self._db.execute(
            f"SELECT entry, boot, {WEIGHT} FROM queue JOIN aside USING (entry)"
            " WHERE aside.sink = ? AND reason IS NULL AND region IS NOT NULL AND region IS NOT ?",
            (place.id, place.region),
        ).fetchall()
        self.losses.charge(place, "filtered", [(boot, weight, 1) for _, boot, weight in aside])
        self._db.executemany("DELETE FROM aside WHERE entry = ? AND sink = ?", [(row[0], place.id) for row in aside])
        self.free_unneeded({row[0] for row in aside})

    def forget_offer(self, place: Place, entries: set[int]) -> None:
        """Entries are answered, or gone."""
        self.answered.append((place, place.unanswered & entries))
        place.unanswered = place.unanswered - entries
