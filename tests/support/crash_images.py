"""What a disk may hold when the power goes: SQLite's writes and syncs recorded by a VFS of apsw, and every crash image made of them.

A write that a sync of its file has followed is on the disk. Of the later ones any may be there, missing, or torn at a sector.
apsw brings its own SQLite, so that a database is recorded through :func:`recording`, which stands in for :func:`sqlite3.connect`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

SECTOR_BYTES = 512
_numbers = itertools.count()


@dataclass(frozen=True)
class Event:
    """One thing that reached the file system.

    Attributes:
        what: write, truncate, sync, delete; ``sync_folder``: deletions are on the disk; ``mark``: an operation has returned.
    """

    what: str
    file: str
    offset: int = 0
    data: bytes = b""


class Recorder(apsw.VFS):
    """A VFS that passes everything on and keeps a list of it."""

    def __init__(self) -> None:
        self.name = f"recorder{next(_numbers)}"
        self.events: list[Event] = []
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.events.append(Event("delete", Path(filename).name))
        super().xDelete(filename, syncdir)

    def mark(self) -> None:
        """An operation has returned."""
        self.events.append(Event("mark", ""))


class _File(apsw.VFSFile):
    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        self.recorder = recorder
        self.file = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary").name
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self.recorder.events.append(Event("write", self.file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self.recorder.events.append(Event("truncate", self.file, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self.recorder.events.append(Event("sync", self.file))
        super().xSync(flags)


class _Rows(list[Any]):
    """A cursor whose statement is done."""

    rowcount = -1

    def fetchone(self) -> Any:
        return self.pop(0) if self else None

    def fetchall(self) -> list[Any]:
        return self

    def close(self) -> None:
        pass


class _Connection:
    """As much of :class:`sqlite3.Connection` as the project uses."""

    def __init__(self, path: str, vfs: str) -> None:
        self._db = apsw.Connection(path, vfs=vfs)
        # A VFS of apsw has no shared memory; alone, WAL needs none.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")

    @property
    def in_transaction(self) -> bool:
        return bool(self._db.in_transaction)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> _Rows:
        before = self._db.total_changes()
        rows = _Rows(self._db.execute(sql, tuple(values)))
        rows.rowcount = self._db.total_changes() - before
        return rows

    def executemany(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        self._db.executemany(sql, [tuple(v) for v in values])

    def close(self) -> None:
        self._db.close()


@contextlib.contextmanager
def recording(monkeypatch: Any) -> Iterator[Recorder]:
    """Record every database that is opened for writing meanwhile."""
    import sqlite3  # noqa: PLC0415

    recorder = Recorder()
    plain = sqlite3.connect

    def connect(path: Any, **named: Any) -> Any:
        return plain(path, **named) if named.get("uri") else _Connection(str(path), recorder.name)

    def fsync(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            recorder.events.append(Event("sync_folder", ""))

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        patch.setattr(os, "fsync", fsync)
        yield recorder
    recorder.unregister()


def crash_images(events: Sequence[Event], rng: random.Random, images_each: int) -> Iterator[tuple[int, int, dict[str, bytes]]]:
    """Images of a crash at each sync, before it has done anything, and at each return of an operation.

    Args:
        events: What was recorded, from empty files on.
        rng: Draws which unsynced writes are there; the first image at a moment has none of them, the second has all.
        images_each: Images at each such moment.

    Yields:
        ``(index of the event, operations that had returned, content by file name)``
    """
    durable: dict[str, bytearray] = {}
    pending: list[Event] = []
    marks = 0
    for index, event in enumerate(events):
        marks += event.what == "mark"
        if event.what in ("mark", "sync"):
            for image in range(images_each):
                chosen = [] if image == 0 else pending if image == 1 else [e for e in pending if rng.random() < 0.5]
                files = {name: bytearray(data) for name, data in durable.items()}
                for e in chosen:
                    _apply(files, _torn(e, rng) if image > 1 and rng.random() < 0.3 else e)
                yield index, marks, {name: bytes(data) for name, data in files.items()}
        if event.what in ("sync", "sync_folder"):
            done = [e for e in pending if (e.what == "delete" if event.what == "sync_folder" else e.file == event.file)]
            for e in done:
                _apply(durable, e)
            pending = [e for e in pending if e not in done]
        elif event.what != "mark":
            pending.append(event)


def _torn(event: Event, rng: random.Random) -> Event:
    """Only the first sectors of a write."""
    if event.what != "write":
        return event
    return Event("write", event.file, event.offset, event.data[: rng.randrange(len(event.data) // SECTOR_BYTES + 1) * SECTOR_BYTES])


def _apply(files: dict[str, bytearray], event: Event) -> None:
    if event.what == "delete":
        files.pop(event.file, None)
        return
    data = files.setdefault(event.file, bytearray())
    if event.what == "truncate":
        del data[event.offset :]
    else:
        data.extend(bytes(max(0, event.offset + len(event.data) - len(data))))
        data[event.offset : event.offset + len(event.data)] = event.data
