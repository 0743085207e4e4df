"""Libraries of the firmware over the host's flash, in this process: for tests that cut its power."""

from __future__ import annotations

import atexit
import ctypes
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.support.batch import STRICT
from tinyfleet.crypto_source import crypto_source_dir
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.firmware_tree import firmware_dir

BEFORE, TORN, AFTER = range(3)
"""``tyf_host_flash_cut_at``"""


def build_flash_library(
    folder: Path,
    *,
    libraries: Sequence[str],
    geometry: tuple[int, int] | None = None,
    firmware: Path | None = None,
    sources: Sequence[Path] = (),
    includes: Sequence[Path] = (),
    crypto: bool = False,
) -> Path:
    """Compile ``lib/core``, further libraries and the host's flash into a shared library.

    Args:
        libraries: Names of folders in ``firmware/lib``.
        geometry: Bytes of a page and of a unit, when not the host's own.
        firmware: Tree to compile, when not the project's: a broken copy.
        sources: Further C files.
        includes: Further folders with headers.
        crypto: With Monocypher.
    """
    firmware = firmware or firmware_dir()
    library = folder / f"flash-{secrets.token_hex(8)}.so"  # A loader hands out a name that it knows.
    files = [firmware / "boards/host/flash.c", *sources]
    for name in ("core", *libraries):
        files += sorted((firmware / "lib" / name / "src").glob("*.c"))
    folders = [*sorted((firmware / "lib").glob("*/include")), firmware / "boards/host/include", *includes]
    options = [f"-I{path}" for path in folders]
    if geometry is not None:
        options += [f"-DTYF_BOARD_NVM_{key}_BYTES={count}u" for key, count in zip(("PAGE", "UNIT"), geometry, strict=True)]
    if crypto:
        options.append(f"-I{crypto_source_dir()}")
        files.append(_build_crypto())
    command = [*find_host_cc(), *STRICT, "-g", "-O1", "-shared", "-fPIC", *options, *map(str, files), "-o", str(library)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert built.returncode == 0, built.stderr
    return library


@cache
def _build_crypto() -> Path:
    """Monocypher as an object file, once a process; its warnings are not ours."""
    folder = Path(tempfile.mkdtemp(prefix="tinyfleet-"))
    atexit.register(shutil.rmtree, folder)
    command = [*find_host_cc(), "-O2", "-fPIC", "-w", "-c", str(crypto_source_dir() / "monocypher.c"), "-o", str(folder / "crypto.o")]
    subprocess.run(command, check=True, timeout=600)
    return folder / "crypto.o"


class FlashLibrary:
    """One loaded library with its flash.

    Attributes:
        c: Its functions.
        memory: What the flash holds.
    """

    def __init__(self, library: Path) -> None:
        self.c = ctypes.CDLL(str(library))
        self.c.tyf_host_flash_is_on.restype = ctypes.c_bool
        self.c.tyf_port_flash_memory.restype = ctypes.c_void_p
        if hasattr(self.c, "tyf_area_data"):
            self.c.tyf_area_data.restype = ctypes.c_void_p
            self.c.tyf_area_bytes.restype = ctypes.c_uint32
        self.memory = ctypes.create_string_buffer(0)

    def open(self, content: bytes) -> None:
        """Power on over a flash with this content, without a cut."""
        if len(self.memory) != len(content):
            self.memory = ctypes.create_string_buffer(len(content))
        ctypes.memmove(self.memory, content, len(content))
        self.c.tyf_host_flash_open(self.memory, len(content))
        self.c.tyf_host_flash_tear(0)
        self.cut(0, BEFORE)

    def read(self, offset: int, count: int) -> bytes:
        """A part of what the flash holds."""
        return ctypes.string_at(ctypes.addressof(self.memory) + offset, count)

    def cut(self, operation: int, how: int) -> None:
        """Let power fail at this operation from now on."""
        self.c.tyf_host_flash_cut(operation, how)

    def is_on(self) -> bool:
        """Whether no cut has happened."""
        return bool(self.c.tyf_host_flash_is_on())

    def operations(self) -> int:
        """Since the last call of ``cut`` or ``open``."""
        return int(self.c.tyf_host_flash_operations())
