"""SQLite files that survive a crash at any point: opened, versioned and explained the same way everywhere.

WAL with ``synchronous=FULL``: a commit that returned is on the disk. The format version is SQLite's ``user_version``; an
older file is brought up to date in one transaction, a newer one is refused and not touched.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyfleet_codegen.errors import StoreDamaged, StoreError, StoreFull

QUICK_CHECK_LIMIT_BYTES = 256 * 2**20
"""Files up to this size are checked whole when they are opened (about 1 s at most); larger ones only where they are used."""

LOG_PAGES = 256
"""The log is written back into the database when it has this many pages (1 MiB)."""


def open_database(path: Path, migrations: Sequence[str], *, what: str) -> sqlite3.Connection:
    """Open or create a database file.

    The connection is in autocommit mode: use :func:`transaction` around what belongs together. It may be used from any
    thread, by one at a time.

    Args:
        path: The file; its folder exists.
        migrations: ``migrations[n]`` is the SQL that takes version n to n + 1; version 0 is an empty file.
        what: What the file is to the user, for messages: ``outbox``.

    Raises:
        StoreError: the folder is not writable, the file is no database, damaged, newer than this code, or not ours.
    """
    with explained(path, what):
        version = _read_version(path, what, len(migrations))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            # Only has an effect on an empty file, before anything is written to it.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            connection.execute("PRAGMA foreign_keys = ON")
            for old in range(version, len(migrations)):
                with transaction(connection):
                    for statement in migrations[old].split(";"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {old + 1}")
            if version < len(migrations):
                # SQLite deletes its rollback journal without waiting for the disk; should it come back, it would undo all this.
                sync_folder(path.parent)
            _check(connection, path, what)
        except BaseException:
            connection.close()
            raise
    return connection


def sync_folder(folder: Path) -> None:
    """What was made, renamed and removed in a folder is on the disk when this returns."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def file_version(path: Path, *, what: str) -> int:
    """Format version of a file that is there.

    Raises:
        StoreError: it is no database, or cannot be read.
    """
    with explained(path, what):
        return _read_version(path, what, 2**31)


def open_read_only(path: Path, migrations: Sequence[str], *, what: str) -> sqlite3.Connection:
    """Open an existing database for reading, also while another process writes to it.

    Raises:
        StoreError: as for :func:`open_database`, or the file does not exist or is of an older version.
    """
    if not path.exists():
        raise StoreError(f"there is no {what} at {path}")
    with explained(path, what):
        version = _read_version(path, what, len(migrations))
        if version != len(migrations):
            raise StoreError(f"{what} {path} has version {version}, this code reads {len(migrations)}", hint="its next start updates it")
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=10.0)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing: commits at the end of the block, rolls back when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk makes SQLite roll back by itself; then there is nothing left to do.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """Turn SQLite's errors inside the block into :class:`StoreError` with the file, the cause and a next step."""
    try:
        yield
    except sqlite3.Error as error:
        kind, hint = _explanation(getattr(error, "sqlite_errorname", ""), path)
        raise kind(f"{what} {path}: {error}", hint=hint) from error


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the pages that hold something; what a vacuum would leave."""
    pages, free, page_bytes = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * page_bytes)


def free_pages(connection: sqlite3.Connection) -> int:
    """Unused pages inside the file."""
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def page_count(connection: sqlite3.Connection) -> int:
    """Pages of the file, used or not."""
    return int(connection.execute("PRAGMA page_count").fetchone()[0])


def give_back_free_pages(connection: sqlite3.Connection, *, limit_pages: int) -> None:
    """Return up to ``limit_pages`` unused pages to the file system, so that the time it takes has a bound."""
    # The pragma frees one page per step; execute() steps once, because it has no columns, and executescript() would commit first.
    for _ in range(limit_pages):
        connection.execute("PRAGMA incremental_vacuum(1)")


def _read_version(path: Path, what: str, known: int) -> int:
    """The format version of a file, read without writing a byte of it."""
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10.0)
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    finally:
        connection.close()
    if version > known:
        raise StoreError(
            f"{what} {path} has version {version}, this code knows up to {known}; the file was not touched", hint="update tinyfleet"
        )
    if version == 0 and tables > 0:
        raise StoreError(f"{path} is another program's database, not a {what} of tinyfleet", hint="choose another folder")
    return version


def _check(connection: sqlite3.Connection, path: Path, what: str) -> None:
    if path.stat().st_size > QUICK_CHECK_LIMIT_BYTES:
        return
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StoreDamaged(f"{what} {path} is damaged: {' '.join(verdict.split())}", hint=_DAMAGED_HINT)


_DAMAGED_HINT = "move the file and its -wal away to start with an empty one; keep them: `sqlite3 FILE .recover` may save their rows"


def _explanation(name: str, path: Path) -> tuple[type[StoreError], str]:
    """What an error of SQLite means, and the next step."""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreDamaged, _DAMAGED_HINT
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return StoreFull, f"free space on the disk of {path.parent}; nothing that was committed is lost"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return StoreError, f"make {path.parent} and the files in it writable for this user"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError, "another program holds the file; stop it"
    return StoreError, "the text before is SQLite's own"
