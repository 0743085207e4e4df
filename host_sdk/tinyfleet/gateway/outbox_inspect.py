"""Looking at an outbox: what it holds, in counts."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from tinyfleet.database import explained, file_version, open_read_only, used_bytes
from tinyfleet.gateway.outbox_actions import target_totals
from tinyfleet.gateway.outbox_captures import capture_totals
from tinyfleet.gateway.outbox_edge import states_put_aside
from tinyfleet.gateway.outbox_schema import MIGRATIONS, BootState, Depth, SinkDepth


def inspect_outbox(path: Path) -> tuple[Depth, list[BootState]]:
    """What an outbox holds, read beside a running gateway or without one.

    Raises:
        StoreError: there is no such outbox, or it cannot be read.
    """
    version = file_version(path, what="outbox") if path.exists() else 0
    connection = open_read_only(path, MIGRATIONS[:version] if version in _DEPTH_OF else MIGRATIONS, what="outbox")
    try:
        with explained(path, "outbox"):
            return _DEPTH_OF.get(version, depth_of)(connection), (_boots_of_v1 if version == 1 else boots_of)(connection)
    finally:
        connection.close()


def depth_of(db: sqlite3.Connection) -> Depth:
    """How many entries and actions wait, and how much room they take."""
    captures = tuple(capture_totals(db))
    return replace(_depth_of_v2(db), targets=tuple(target_totals(db)), captures=captures, edges_put_aside=states_put_aside(db))


def _depth_of_v2(db: sqlite3.Connection) -> Depth:
    rows = db.execute("SELECT name, holds, waiting, refused, delivered, dropped, filtered FROM sink ORDER BY id").fetchall()
    sinks = tuple(SinkDepth(row[0], bool(row[1]), *row[2:]) for row in rows)
    fullest = max((s for s in sinks if s.holds), key=lambda s: s.waiting, default=max(sinks, key=lambda s: s.waiting, default=None))
    return Depth(fullest.waiting if fullest else 0, fullest.refused if fullest else 0, used_bytes(db), sinks)


def _depth_of_v1(db: sqlite3.Connection) -> Depth:
    """Of an outbox that no gateway of this version has opened yet."""
    total, refused = db.execute("SELECT count(*), count(refused) FROM record").fetchone()
    return Depth(total - refused, refused, used_bytes(db))


_DEPTH_OF = {1: _depth_of_v1, 2: _depth_of_v2}


def _boots_of_v1(db: sqlite3.Connection) -> list[BootState]:
    rows = db.execute("SELECT device_id, boot_id, next_seq, pulled, lost, dropped FROM boot ORDER BY device_id, boot_id").fetchall()
    return [BootState(*row) for row in rows]


def boots_of(db: sqlite3.Connection) -> list[BootState]:
    """Cursor and totals of every boot that was ever pulled."""
    rows = db.execute(
        "SELECT device_id, boot_id, next_seq, pulled, lost, coalesce(max(dropped), 0), boot.filtered"
        " FROM boot LEFT JOIN account ON account.boot = boot.id GROUP BY boot.id ORDER BY device_id, boot_id"
    ).fetchall()
    return [BootState(*row) for row in rows]
