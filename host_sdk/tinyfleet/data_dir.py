"""A service's data folder: made, found writable, and held by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tinyfleet_codegen.errors import StoreError


@contextlib.contextmanager
def held_data_dir(path: Path, *, what: str) -> Iterator[None]:
    """Hold a data folder; it is made when it is absent, for this user only.

    The lock goes when the process does, however it ends.

    Args:
        path: The folder.
        what: Who holds it, for messages: ``gateway``.

    Raises:
        StoreError: the folder cannot be made or written, or another process holds it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (path / f"{what}.lock").open("a")
    except OSError as error:
        raise StoreError(
            f"cannot write in the data folder {path}: {error.strerror}",
            hint=f"make it writable for user id {os.getuid()}, or choose another folder",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"another {what} uses the data folder {path}", hint="stop it, or give this one another folder") from error
        yield
