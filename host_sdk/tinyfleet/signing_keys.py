"""The two keys that vouch for what a board runs: one signs firmware, the other models. PEM files, Ed25519.

::

    keys = development_keys()
    print(key_id(public_key(keys.firmware)))

Development keys are made at first use, per checkout, for this user only, and say of themselves what they are: a release
build refuses them. Keys for releases are made by hand and kept elsewhere (``tinyfleet keys new --release``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.new_file import new_file
from tinyfleet_codegen.errors import ConfigError, SetupError, UsageError
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire.image import KEY_BYTES, SPKI_PREFIX

KEYS_VARIABLE = "TINYFLEET_SIGNING_KEYS"
"""Environment variable that names the folder of the development keys."""
NAMES = ("firmware", "model")
_DEVELOPMENT_MARK = "tinyfleet development key: for boards on a desk, refused by release builds."


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """PEM files, private (``NAME.pem``) or, where signing happens elsewhere, public (``NAME.pub.pem``).

    Attributes:
        firmware: Signs firmware images.
        model: Signs model packages, never firmware.
    """

    firmware: Path
    model: Path

    @property
    def is_development(self) -> bool:
        """Whether one of the two is a development key."""
        return is_development(self.firmware) or is_development(self.model)


def development_dir() -> Path:
    """Folder of the development keys: ``TINYFLEET_SIGNING_KEYS``, else ``.tinyfleet/keys`` of the checkout, else of the working folder."""
    named = os.environ.get(KEYS_VARIABLE, "")
    if named:
        return Path(named).absolute()
    root = firmware_dir().parent
    return (root if (root / "pyproject.toml").is_file() else Path.cwd()) / ".tinyfleet" / "keys"


def development_keys() -> SigningKeys:
    """The development keys of this checkout, made when they are not there.

    Raises:
        ConfigError: they cannot be written or read.
    """
    folder = development_dir()
    for name in NAMES:
        if not (folder / f"{name}.pem").exists():
            with contextlib.suppress(FileExistsError):  # Another process was faster.
                _write_key(folder / f"{name}.pem", _DEVELOPMENT_MARK)
    return find_keys(folder)


def new_keys(folder: Path, *, is_release: bool) -> SigningKeys:
    """Make two keys, readable for this user only.

    Raises:
        UsageError: there are keys in the folder already.
        ConfigError: it cannot be written.
    """
    for name in NAMES:
        if (folder / f"{name}.pem").exists():
            raise UsageError(f"{folder / name}.pem exists already", hint="a key that is overwritten is lost: name another folder")
    for name in NAMES:
        _write_key(folder / f"{name}.pem", "" if is_release else _DEVELOPMENT_MARK)
    return find_keys(folder)


def find_keys(folder: Path) -> SigningKeys:
    """The two keys in a folder, each private or public.

    Raises:
        UsageError: one of them is not there.
    """
    found = {}
    for name in NAMES:
        paths = [path for path in (folder / f"{name}.pem", folder / f"{name}.pub.pem") if path.is_file()]
        if not paths:
            raise UsageError(f"no {name} key in {folder}", hint=f"tinyfleet keys new -o {folder} makes {name}.pem")
        found[name] = paths[0]
    return SigningKeys(**found)


def is_development(path: Path) -> bool:
    """Whether a PEM file says that it is a development key, or holds one of this checkout's."""
    if _DEVELOPMENT_MARK in _read(path).decode(errors="replace"):
        return True
    ours = [development_dir() / f"{name}.pem" for name in NAMES]
    return any(key.is_file() and public_key(key) == public_key(path) for key in ours)


def public_key(path: Path) -> bytes:
    """The 32 bytes of the public key in a PEM file, which may hold the private one.

    Raises:
        ConfigError: it is not a PEM file with an Ed25519 key, or cannot be read.
        SetupError: the package that reads it is missing.
    """
    data = _read(path)
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - part of the extra `build`
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey  # noqa: PLC0415
    except ImportError as error:
        raise SetupError("keys need the package cryptography", hint="pip install 'tinyfleet[build]'") from error
    try:
        if b"PRIVATE KEY" in data:
            key: object = serialization.load_pem_private_key(data, None)
            key = key.public_key() if isinstance(key, Ed25519PrivateKey) else None
        else:
            key = serialization.load_pem_public_key(data)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} holds no key that can be read: {error}", hint="a PEM file without a password") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path} is not an Ed25519 key", hint="tinyfleet keys new makes one")
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert len(raw) == KEY_BYTES
    return raw


def key_hash(public: bytes) -> bytes:
    """SHA-256 by which an image names its signer."""
    return hashlib.sha256(SPKI_PREFIX + public).digest()


def key_id(public: bytes) -> str:
    """Name of a key for people: the first 16 digits of its hash."""
    return key_hash(public).hex()[:16]


def keys_header(keys: SigningKeys) -> str:
    """Text of ``tyf_keys.h``, which pins the public keys in a program."""
    lines = ["/* Generated by tinyfleet: the public keys that this program trusts. */"]
    for name, path in (("FIRMWARE", keys.firmware), ("MODEL", keys.model)):
        lines.append(f"#define TYF_{name}_KEY {{{', '.join(f'0x{byte:02x}' for byte in public_key(path))}}}")
    lines.append(f"#define TYF_KEYS_ARE_FOR_DEVELOPMENT {int(keys.is_development)}")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"key {path} cannot be read: {error.strerror}") from error


def _write_key(path: Path, mark: str) -> None:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - part of the extra `build`
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415
    except ImportError as error:
        raise SetupError("keys need the package cryptography", hint="pip install 'tinyfleet[build]'") from error
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with new_file(path) as file:
            # Text before the key: every reader of PEM skips it.
            file.write((f"{mark}\n" if mark else "").encode() + pem)
    except FileExistsError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot write the key {path}: {error.strerror}", hint="name a folder that you can write") from error
