"""Files that appear whole or not at all, replace nothing, and are for their owner's eyes only: keys, and memories with secrets in them."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PRIVATE = 0o600


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a new file in the body; it is at its place, durable, when the body has ended well.

    Args:
        path: Where it shall be; its folder exists.

    Raises:
        FileExistsError: there is one already, or another process was faster; that one stays as it is.
        OSError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make durable which names a folder holds.

    Raises:
        OSError: the folder cannot be read.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
