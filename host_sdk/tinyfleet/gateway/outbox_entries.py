"""Entries as rows of the queue."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any


def identity_text(device_id: bytes | None, boot_id: int | None, seq: int | None, kind: str | None, number: int | None) -> str:
    """What an entry is, for the seal of its payload."""
    return f"/{'-' if device_id is None else device_id.hex()}/{boot_id}/{seq}/{kind}/{number}"


def identity_of(row: Any) -> str:
    """The same, of a row of :func:`select_entries`."""
    return identity_text(row[1], row[2], row[5], row[9], row[10])


def first_of(rows: list[Any], limit_bytes: int) -> list[Any]:
    """As many as have so many bytes of payload, at least one if there is one."""
    total_bytes = 0
    for index, row in enumerate(rows):
        total_bytes += len(row[3])
        if index and total_bytes > limit_bytes:
            return rows[:index]
    return rows


def select_entries(db: sqlite3.Connection, where: str, values: Sequence[Any], *, order: str = "entry") -> list[Any]:
    """Entries in an order; ``where`` and ``order`` are SQL, the last of ``values`` is how many at most."""
    return db.execute(
        "SELECT entry, device_id, boot_id, payload, sealed, seq, time_utc_us, time_error_us, model_id, kind, number, last_seq, count"
        f" FROM queue LEFT JOIN boot ON boot.id = queue.boot LEFT JOIN model ON model.id = queue.model {where} ORDER BY {order} LIMIT ?",
        values,
    ).fetchall()
