"""Payloads of an outbox that only their gateway can read: sealed by AES-256-GCM-SIV under a key from a file or from a TPM 2.0.

Each entry's number is its nonce and its identity is authenticated beside it, so that a payload cannot be moved to another entry. A
transaction that is rolled back gives its numbers again; GCM-SIV stands that, plain GCM would not.
"""

from __future__ import annotations

import enum
import os
import subprocess
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tinyfleet.database import sync_folder
from tinyfleet_codegen.errors import SetupError, StoreError

KEY_BYTES = 32
TPM_TIMEOUT_S = 60.0
TPM_FILES = ("outbox.tpm.pub", "outbox.tpm.priv")
"""The key as the TPM gave it out: of use to this TPM alone."""


class KeySource(enum.StrEnum):
    """Where the key is kept."""

    KEYFILE = "keyfile"
    TPM2 = "tpm2"


class SealBroken(Exception):
    """The bytes are not what was sealed for this entry."""


class Seal:
    """Seals the payloads of one outbox.

    Args:
        key: 32 secret bytes.
        outbox_id: Two outboxes with one key share nothing.

    Raises:
        SetupError: the package ``cryptography`` has no AES-GCM-SIV here.
    """

    def __init__(self, key: bytes, outbox_id: bytes) -> None:
        derived = HKDF(SHA256(), KEY_BYTES + 8, salt=outbox_id, info=b"tinyfleet outbox 1").derive(key)
        try:
            self._aead = AESGCMSIV(derived[:KEY_BYTES])
        except UnsupportedAlgorithm as error:
            raise SetupError(
                "the installed cryptography package has no AES-GCM-SIV", hint="it needs OpenSSL 3.2 or newer: install its wheel from pip"
            ) from error
        self.check = int.from_bytes(derived[KEY_BYTES:], "big") >> 1 | 1
        """Tells keys apart: 63 bits, never 0."""
        self._outbox_id = outbox_id

    def seal(self, payload: bytes, entry: int, identity: str) -> bytes:
        """The payload and 16 bytes more."""
        return self._aead.encrypt(entry.to_bytes(12, "big"), payload, self._outbox_id + identity.encode())

    def unseal(self, sealed: bytes, entry: int, identity: str) -> bytes:
        """The payload.

        Raises:
            SealBroken: it was sealed by another key or for another entry, or was changed.
        """
        try:
            return self._aead.decrypt(entry.to_bytes(12, "big"), sealed, self._outbox_id + identity.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken from error


def unseal_with(seal: Seal | None, sealed: bytes, entry: int, identity: str) -> bytes:
    """The payload of what is marked as sealed.

    Raises:
        SealBroken: there is no key, or see :meth:`Seal.unseal`.
    """
    if seal is None:
        raise SealBroken
    return seal.unseal(sealed, entry, identity)


def key_from_file(path: Path, *, must_exist: bool) -> bytes:
    """The key in a file; it is made when it is absent and need not exist.

    Raises:
        StoreError: it cannot be read or made, others may read it, or it does not hold 32 bytes.
    """
    try:
        if not path.exists() and not must_exist:
            path.touch(mode=0o600, exist_ok=False)
            with path.open("wb") as file:
                file.write(os.urandom(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)
        if path.stat().st_mode & 0o077:
            raise StoreError(f"key file {path} may be read by others", hint=f"chmod 600 {path}")
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(f"key file {path}: {error.strerror}", hint="bring the key back: without it nobody can read the outbox") from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"key file {path} holds {len(key)} bytes, not {KEY_BYTES}", hint="bring the right key file back")
    return key


def key_from_tpm(folder: Path, *, tcti: str | None, must_exist: bool) -> bytes:
    """The key that the TPM keeps; it is made and handed to the TPM when there is none yet and none need exist.

    Args:
        folder: Where the TPM's own form of it is kept.
        tcti: How tpm2-tools reach the TPM: ``device:/dev/tpmrm0``; None: as they find it.
        must_exist: Never make a new one.

    Raises:
        SetupError: tpm2-tools are not installed.
        StoreError: there is no TPM, or not the one that made the key.
    """
    public, private = (folder / name for name in TPM_FILES)
    with tempfile.TemporaryDirectory() as temporary:
        primary, loaded = Path(temporary) / "primary", Path(temporary) / "key"
        _tpm(tcti, "tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", str(primary))
        if not private.exists():
            if must_exist:
                raise StoreError(f"{private} is absent, and the outbox is sealed", hint="bring it and its .pub back from a backup")
            made = (Path(temporary) / "made.pub", Path(temporary) / "made.priv")
            key = os.urandom(KEY_BYTES)
            _tpm(tcti, "tpm2_create", "-Q", "-C", str(primary), "-i", "-", "-u", str(made[0]), "-r", str(made[1]), secret=key)
            for source, target in zip(made, (public, private), strict=True):
                with target.open("wb") as file:
                    file.write(source.read_bytes())
                    file.flush()
                    os.fsync(file.fileno())
            sync_folder(folder)
        _tpm(tcti, "tpm2_load", "-Q", "-C", str(primary), "-u", str(public), "-r", str(private), "-c", str(loaded))
        key = _tpm(tcti, "tpm2_unseal", "-Q", "-c", str(loaded))
    if len(key) != KEY_BYTES:
        raise StoreError(f"the TPM gave {len(key)} bytes as key, not {KEY_BYTES}", hint=_TPM_HINT)
    return key


_TPM_HINT = "the outbox opens only with the TPM that its key was made in; nothing in it was changed"


def _tpm(tcti: str | None, tool: str, *words: str, secret: bytes = b"") -> bytes:
    """Run one of tpm2-tools; its output."""
    reach = ["-T", tcti] if tcti else []
    command = [tool, *reach, *words]
    try:
        done = subprocess.run(command, input=secret, capture_output=True, timeout=TPM_TIMEOUT_S, check=False)
    except FileNotFoundError as error:
        raise SetupError(f"{tool} is not installed", hint="install the package tpm2-tools") from error
    except subprocess.TimeoutExpired as error:
        raise StoreError(f"TPM: {tool} did not end within {TPM_TIMEOUT_S:.0f} s", hint=_TPM_HINT) from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise StoreError(f"TPM: {tool} failed: {lines[0] if lines else done.returncode}", hint=_TPM_HINT)
    # Without a resource manager the TPM keeps what a tool has loaded, and has room for three such things.
    subprocess.run(["tpm2_flushcontext", *reach, "-t"], capture_output=True, timeout=TPM_TIMEOUT_S, check=False)
    return done.stdout
