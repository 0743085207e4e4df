"""The C source of Monocypher: fetched by pip as the source archive of ``pymonocypher``, checked, kept in the user's cache.

It is compiled with firmware that verifies, never imported and never part of this distribution (decision 0031)::

    folder = crypto_source_dir()
    subprocess.run(["cc", "-c", folder / "monocypher.c"], check=True)

Run as a program it fetches what is missing, as ``./run`` does at set-up.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tinyfleet.engine.host_build import user_cache_dir
from tinyfleet_codegen.errors import SetupError

VERSION = "4.0.3.4"
ARCHIVE_SHA256 = "5e56e3d3eb770a53e0b9f6274146663c11a11f3d0de5cd48e3be0428d1b07a4a"
FILES: Mapping[str, str] = {
    "monocypher.c": "57eb914fc88136119bd41655cccb8c250048bf54d470540625186f8ab16f64be",
    "monocypher.h": "c494da712122da7ff679fdcf318a5317e84972b6c950fe9d896212947797facd",
}
"""What is taken from the archive, with the SHA-256 that is asked of it each time."""

_TIMEOUT_S = 300.0


def crypto_source_dir() -> Path:
    """Folder with ``monocypher.c`` and ``monocypher.h``; needs the network when the cache does not have them.

    Raises:
        SetupError: they are not there and pip could not bring them, or the cache cannot be written.
    """
    folder = _cached_dir()
    if is_cached():
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            archive = _download(Path(scratch))
            for name in FILES:
                # One by one and atomic: another process may do the same, with the same bytes.
                (Path(scratch) / name).write_bytes(_member(archive, name))
                (Path(scratch) / name).replace(folder / name)
    except OSError as error:
        raise SetupError(f"cannot write {error.filename}: {error.strerror}", hint="set XDG_CACHE_HOME to a folder you can write") from error
    if not is_cached():
        raise SetupError(f"the crypto source in {folder} is not pymonocypher {VERSION}", hint="remove that folder and try again")
    return folder


def is_cached() -> bool:
    """Whether the files are there, byte by byte the pinned ones; no network."""
    try:
        return all(hashlib.sha256((_cached_dir() / name).read_bytes()).hexdigest() == digest for name, digest in FILES.items())
    except OSError:
        return False


def _cached_dir() -> Path:
    return user_cache_dir() / "crypto" / f"monocypher-{VERSION}"


def _download(scratch: Path) -> Path:
    # With --require-hashes pip runs nothing of an archive that is not the pinned one.
    (scratch / "wanted.txt").write_text(f"pymonocypher=={VERSION} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps", "--no-binary", "pymonocypher"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2", "--dest", str(scratch), "-r", str(scratch / "wanted.txt")]
    env = {name: value for name, value in os.environ.items() if name not in ("PIP_CONSTRAINT", "PIP_REQUIRE_VIRTUALENV")}
    try:
        run = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise _not_fetched(f"pip did not finish within {_TIMEOUT_S:.0f} s") from None
    archive = scratch / f"pymonocypher-{VERSION}.tar.gz"
    if run.returncode != 0 or not archive.is_file():
        errors = [line.strip() for line in run.stderr.splitlines() if line.startswith("ERROR:") or "No module named pip" in line]
        raise _not_fetched(errors[0] if errors else run.stderr.strip()[-300:] or f"exit code {run.returncode}")
    return archive


def _not_fetched(why: str) -> SetupError:
    return SetupError(
        f"firmware that verifies signatures needs the C source in pymonocypher {VERSION}, and pip could not fetch it: {why}",
        hint="is the network up? pip must reach its package index (pip config list shows which); once fetched it is kept",
    )


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"pymonocypher-{VERSION}/{name}")
        assert file is not None, "a pinned archive"
        return file.read()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{crypto_source_dir()}\n")
    except SetupError as problem:
        sys.stderr.write(f"error: {problem}\n  hint: {problem.hint}\n")
        sys.exit(1)
