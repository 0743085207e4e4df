"""The file that is an emulated board's non-volatile memory; its layout is in ``docs/spec/wire.md``."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from tinyfleet.board import load_board
from tinyfleet.new_file import new_file
from tinyfleet_codegen.errors import StoreError, UsageError
from tinyfleet_codegen.wire.nvm import DEVICE_ID_BYTES, ENTROPY_BYTES, IDENTITY_BYTES, IDENTITY_OFFSET, Identity, read_identity


def create_nvm(path: Path, board: str, device_id: bytes | None = None) -> bytes:
    """Create a board's NVM file with an identity of its own, or keep the intact one that is there.

    The file is sparse: it takes disk space only where the board writes. It never replaces a file.

    Args:
        path: Where the file is or shall be; its folder exists.
        board: Id of the board; gives the size.
        device_id: 16 bytes; None: random for a new file, whatever it holds for an existing one.

    Returns:
        The device id in the file.

    Raises:
        UsageError: ``device_id`` is not 16 bytes, is all zero, or differs from that of the existing file.
        StoreError: the existing file is not an intact NVM of this board, or the file cannot be written.
    """
    if device_id is not None and (len(device_id) != DEVICE_ID_BYTES or not any(device_id)):
        raise UsageError(f"a device id is {DEVICE_ID_BYTES} bytes, not all zero; got {device_id.hex() or 'nothing'}")
    nvm_bytes = load_board(board).nvm_bytes
    try:
        if not path.exists():
            _write_new(path, nvm_bytes, Identity(device_id or secrets.token_bytes(DEVICE_ID_BYTES), secrets.token_bytes(ENTROPY_BYTES)))
        found = _read_intact(path, nvm_bytes)
    except OSError as error:
        raise StoreError(f"NVM file {path} cannot be used: {error.strerror}") from error
    if device_id is not None and found != device_id:
        raise UsageError(f"{path} belongs to device {found.hex()}, not {device_id.hex()}", hint="leave --device-id out, or name a new file")
    return found


def lock_nvm(path: Path) -> int:
    """Take the file for one board; the lock lasts until the descriptor and all its copies are closed.

    Returns:
        The descriptor, for the caller to hand on and close.

    Raises:
        StoreError: another board runs on this file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreError(
            f"NVM file {path} is in use by another board", hint="stop that board, or give this one a file of its own"
        ) from error
    return descriptor


def _write_new(path: Path, nvm_bytes: int, identity: Identity) -> None:
    # Another process may have been faster; its file is as good.
    with contextlib.suppress(FileExistsError), new_file(path) as file:
        file.seek(IDENTITY_OFFSET)
        file.write(identity.encode())
        file.truncate(nvm_bytes)


def _read_intact(path: Path, nvm_bytes: int) -> bytes:
    size = path.stat().st_size
    if size != nvm_bytes:
        raise StoreError(f"{path} is not an NVM file of this board: {size} bytes, must be {nvm_bytes}", hint="name another file")
    with path.open("rb") as file:
        identity = read_identity(file.read(IDENTITY_OFFSET + IDENTITY_BYTES))
    if identity is None:
        raise StoreError(f"{path} holds no intact device identity", hint="name another file; this one stays as it is")
    return identity.device_id
