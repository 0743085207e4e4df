"""What goes at the outbox's bounds: the oldest entries of the lowest priority, booked for every sink that did not have them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from tinyfleet.database import used_bytes
from tinyfleet.gateway.outbox_places import Places
from tinyfleet.gateway.outbox_schema import WEIGHT, lane_start

DROP_CHUNK = 256
"""Entries dropped at a time when the outbox is full."""


class Bounds:
    """Drops what is too much; all of it belongs to the transaction of its caller."""

    def __init__(self, db: sqlite3.Connection, places: Places) -> None:
        self._db = db
        self._places = places

    def drop_older(self, lanes: Collection[int], latest_s: int) -> int:
        """Drop what is from before ``latest_s``, by the outbox's clock; returns how many entries."""
        dropped = 0
        while count := self._drop_some(lanes, latest_s=latest_s):
            dropped += count
        return dropped

    def make_room(self, lanes: Collection[int], max_bytes: int) -> int:
        """Drop until no more than that is in use; returns how many entries."""
        dropped = 0
        while (excess_bytes := used_bytes(self._db) - max_bytes) > 0 and (count := self._drop_some(lanes, enough_bytes=excess_bytes)):
            dropped += count
        return dropped

    def _drop_some(self, lanes: Collection[int], *, latest_s: int | None = None, enough_bytes: int | None = None) -> int:
        """Drop the oldest entries of the lowest priority that has some: a chunk of them, or less where less is enough.

        Args:
            latest_s: Only entries from before this.
            enough_bytes: Payload bytes that need not be exceeded.
        """
        under_way = set[int]().union(*(place.unanswered for place in self._places.by_name.values()))
        for priority in sorted(lanes):
            chosen: list[Any] = []
            chosen_bytes = 0
            cursor = self._db.execute(
                f"SELECT entry, boot, {WEIGHT}, region, age_clock_s, length(payload)"
                " FROM queue WHERE entry > ? AND entry < ? ORDER BY entry",
                (lane_start(priority), lane_start(priority + 1)),
            )
            for row in cursor:
                if latest_s is not None and row[4] >= latest_s:
                    break
                if row[0] not in under_way:
                    chosen.append(row)
                    chosen_bytes += row[5]
                if len(chosen) == DROP_CHUNK or (enough_bytes is not None and chosen_bytes >= enough_bytes):
                    break
            cursor.close()
            if chosen:
                self._drop(priority, chosen)
                return len(chosen)
        return 0

    def _drop(self, priority: int, rows: Sequence[Any]) -> None:
        entries = [row[0] for row in rows]
        listed = f"entry IN ({','.join(map(str, entries))})"
        for place in self._places.by_name.values():
            ahead = [row for row in rows if row[0] > place.position(priority)]
            for column, is_withheld in (("dropped", False), ("filtered", True)):
                lost = [row for row in ahead if (row[3] not in (None, place.region)) is is_withheld]
                self._places.losses.charge(place, column, [(boot, weight, 1) for _, boot, weight, *_ in lost])
            self._places.losses.charge_asides(place, listed, ())
        for table in ("queue", "aside"):
            self._db.execute(f"DELETE FROM {table} WHERE {listed}")
