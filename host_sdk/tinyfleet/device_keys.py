"""The pre-shared keys of devices: one file each, for its owner's eyes only.

A key never stands in an argument, in a log or in another file. ``TINYFLEET_KEYS`` names another folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from tinyfleet.new_file import new_file, sync_folder
from tinyfleet_codegen.errors import StoreError
from tinyfleet_codegen.wire.session import PSK_BYTES

ENVIRONMENT = "TINYFLEET_KEYS"
_PRIVATE_FOLDER = 0o700


def keys_folder() -> Path:
    """Where the keys are; it may not exist yet."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "tinyfleet" / "device-keys"


@contextlib.contextmanager
def keys_in(folder: Path) -> Iterator[None]:
    """Keep keys there meanwhile, in this process and in those that it starts: they are a demo's or a measurement's, not the user's."""
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[ENVIRONMENT]
        else:
            os.environ[ENVIRONMENT] = before


def load_keys(device_id: bytes) -> tuple[bytes, ...]:
    """The keys of a device, 32 bytes each, likeliest first; none when this host has none.

    There are two when a change of keys was cut short: the device has one of them.

    Raises:
        StoreError: a file is readable by others, or is not a key.
    """
    path = key_path(device_id)
    return tuple(key for key in map(_load, (path, _next(path))) if key is not None)


@contextlib.contextmanager
def new_key(device_id: bytes) -> Iterator[bytes]:
    """Make a key for a device, durable before the body gives it to the device; it counts once the body has succeeded.

    Raises:
        StoreError: it cannot be written.
    """
    path, key = key_path(device_id), secrets.token_bytes(PSK_BYTES)
    try:
        path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        _next(path).unlink(missing_ok=True)
        with new_file(_next(path)) as file:
            file.write(key.hex().encode() + b"\n")
        yield key
        _next(path).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be written: {error.strerror}", hint=f"set {ENVIRONMENT} to another folder") from error


def _load(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read(4 * PSK_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise StoreError(f"the key file {path} is open to others (mode {mode:03o})", hint="chmod 600; if others had it, provision anew")
    with contextlib.suppress(ValueError):
        key = bytes.fromhex(text.decode("ascii", "replace"))
        if len(key) == PSK_BYTES:
            return key
    raise StoreError(f"{path} does not hold a key of {PSK_BYTES} bytes in hexadecimal", hint="remove it and provision the device anew")


def devices_with_keys() -> list[bytes]:
    """The devices that this host has a key for."""
    found = []
    for path in sorted(keys_folder().glob("*.key")):
        with contextlib.suppress(ValueError):
            found.append(bytes.fromhex(path.stem))
    return found


def key_path(device_id: bytes) -> Path:
    """Where the key of a device is, or would be."""
    return keys_folder() / f"{device_id.hex()}.key"


def _next(path: Path) -> Path:
    return path.with_suffix(".next")
