"""``memory://?model=DIR``: the firmware itself in this process, compiled for this machine.

The board's time stands still but for what is asked of it, so a test repeats exactly. One loaded library is one board,
so each link loads a copy of its own.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import cffi

from tinyfleet.crypto_source import crypto_source_dir
from tinyfleet.engine.host_build import user_cache_dir
from tinyfleet.signing_keys import development_keys, keys_header
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.compile import takes_models
from tinyfleet_codegen.errors import BuildError, LinkClosed, LinkTimeout, UsageError
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire.nvm import DEVICE_ID_BYTES, ENTROPY_BYTES, Identity

NVM_BYTES = 0x340000
"""Size of the host board's NVM, a flash with the areas of the emulated MPS2 boards."""
_FIRST_NVM_BYTES = 16384  # before there were areas for updates
_TAKE_BYTES = 65536
_COMPILE_TIMEOUT_S = 600
# What the firmware lacks shall be told here, with its name, not by the loader; macOS does so by itself.
_LINKER = ("-Wl,--no-undefined",) if sys.platform == "linux" else ()
# Frames as large as those of emulated boards: this one has room.
_FLAGS = ("-std=c11", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-DTYF_CFG_SMP_FRAME_BYTES=4096", *_LINKER)
_DECLARATIONS = """
void tyf_host_power_on(uint8_t *nvm, uint32_t nvm_bytes);
uint32_t tyf_host_feed(const uint8_t *data, uint32_t bytes);
uint32_t tyf_host_take(uint8_t *data, uint32_t capacity);
uint32_t tyf_host_take_witness(uint8_t *data, uint32_t capacity);
void tyf_host_advance_us(uint64_t us);
"""


def build_host_board(model_dir: Path) -> Path:
    """The firmware with one generated model for this machine, as a shared library; compiled when it is not in the cache.

    Raises:
        UsageError: the folder holds no generated model.
        SetupError: this machine has no C compiler, or lacks the crypto source and the network to fetch it.
        BuildError: the compiler refused, or the cache cannot be written.
    """
    if not (model_dir / "model.h").is_file():
        raise UsageError(f"no generated model in {model_dir}", hint=f"tinyfleet compile M.tflite --board mps2_an386 -o {model_dir}")
    firmware = firmware_dir()
    variants = ("_v6m.c", "_dsp.c", "_mve.c")
    boards = firmware / "boards"
    folders = [*sorted((firmware / "lib").glob("*/src")), boards / "host", boards / "flash_nvm", model_dir]
    crypto = crypto_source_dir()
    sources = [path for folder in folders for path in sorted(folder.glob("*.c")) if not path.name.endswith(variants)]
    sources.append(crypto / "monocypher.c")
    includes = [*sorted((firmware / "lib").glob("*/include")), boards / "host" / "include", model_dir, crypto]
    if takes_models(model_dir) and not (model_dir / "tyf_keys.h").is_file():
        includes.append(_development_keys_dir())
    command = [*find_host_cc(), *_FLAGS]
    digest = hashlib.sha256("\0".join(command).encode())
    for path in [*sources, *sorted(header for folder in (*includes, *folders) for header in folder.rglob("*.h"))]:
        digest.update(path.read_bytes())
    library = user_cache_dir() / "host_board" / f"{digest.hexdigest()[:32]}.so"
    if library.exists():
        return library
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
            built = Path(scratch) / "board.so"
            _compile([*command, *(f"-I{folder}" for folder in includes), *map(str, sources), "-o", str(built)])
            # Atomic: another process may build the same library at the same time.
            built.replace(library)
    except OSError as error:
        raise BuildError(f"cannot write {error.filename}: {error.strerror}", hint="set XDG_CACHE_HOME to a folder you can write") from error
    return library


def _development_keys_dir() -> Path:
    """Folder with the header that pins the development keys."""
    header = keys_header(development_keys())
    folder = user_cache_dir() / "host_board" / f"keys-{hashlib.sha256(header.encode()).hexdigest()[:16]}"
    if not (folder / "tyf_keys.h").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / f"{secrets.token_hex(8)}.tmp"
        written.write_text(header, encoding="utf-8")
        written.replace(folder / "tyf_keys.h")
    return folder


def _compile(command: list[str]) -> None:
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{command[0]} did not finish within {_COMPILE_TIMEOUT_S} s") from error
    if run.returncode != 0:
        first = next((line for line in run.stderr.splitlines() if "error" in line or "undefined" in line), run.stderr.strip()[:300])
        raise BuildError(f"the firmware does not compile for this machine: {first}")


class MemoryPipe:
    """Bytes to and from a board in this process."""

    def __init__(self, ffi: cffi.FFI, board: Any, nvm: mmap.mmap) -> None:
        self._ffi = ffi
        self._board = board
        # The board writes into it for as long as it lives.
        self._nvm = ffi.from_buffer("uint8_t[]", nvm)
        self._buffer = ffi.new("uint8_t[]", _TAKE_BYTES)
        self._sent = b""
        self._is_closed = False
        board.tyf_host_power_on(self._nvm, len(nvm))

    @classmethod
    def open(cls, model_dir: Path, nvm: Path | None, stack: AsyncExitStack) -> MemoryPipe:
        """Build, load and power on a board; ``stack`` undoes it.

        Args:
            model_dir: Folder with the generated model.
            nvm: The board's NVM file, made when it is not there; None: a new identity each time.
            stack: Gets what must be closed after the pipe.
        """
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyfleet-")))
        # A name of its own each time: the loader hands out a library that it knows instead of loading a copy.
        library = folder / f"board-{secrets.token_hex(8)}.so"
        shutil.copyfile(build_host_board(model_dir), library)
        memory = stack.enter_context(open_nvm(nvm or folder / "board.nvm"))
        ffi = cffi.FFI()
        ffi.cdef(_DECLARATIONS)
        return cls(ffi, ffi.dlopen(str(library)), memory)

    def advance(self, us: int) -> None:
        """Let the board's time go on; what its own sensor measures meanwhile becomes records."""
        self._board.tyf_host_advance_us(us)

    def restart(self) -> None:
        """Power off and on: what its memory held is gone, its flash stays."""
        self._sent = b""
        self._board.tyf_host_power_on(self._nvm, len(self._nvm))

    def take_witness(self) -> bytes:
        """What a test build (``TYF_CFG_WITNESS``) has said of its records since the last call."""
        count = self._board.tyf_host_take_witness(self._buffer, _TAKE_BYTES)
        return bytes(self._ffi.buffer(self._buffer, count))

    async def write(self, data: bytes) -> None:
        """See :class:`~tinyfleet.link.pipe.BytePipe`. The board works the bytes off at once."""
        self._check_open()
        while data:
            accepted = self._board.tyf_host_feed(data, len(data))
            taken = self._take()
            self._sent += taken
            data = data[accepted:]
            if not accepted and not taken:
                raise LinkTimeout("the board in memory takes no bytes")

    async def read(self) -> bytes:
        """See :class:`~tinyfleet.link.pipe.BytePipe`.

        Raises:
            LinkTimeout: at once when the board has nothing to say: it never will by itself.
        """
        self._check_open()
        data, self._sent = self._sent + self._take(), b""
        if not data:
            raise LinkTimeout("the board in memory gives no answer")
        return data

    async def close(self) -> None:
        """See :class:`~tinyfleet.link.pipe.BytePipe`."""
        if not self._is_closed:
            self._is_closed = True
            self._ffi.release(self._nvm)

    def _check_open(self) -> None:
        if self._is_closed:
            raise LinkClosed("the board in memory is switched off")

    def _take(self) -> bytes:
        count = self._board.tyf_host_take(self._buffer, _TAKE_BYTES)
        return bytes(self._ffi.buffer(self._buffer, count))


def open_nvm(path: Path) -> mmap.mmap:
    """Map an NVM file; a new one gets a random identity, one of an earlier version the room that it lacks."""
    if not path.exists():
        path.write_bytes(Identity(secrets.token_bytes(DEVICE_ID_BYTES), secrets.token_bytes(ENTROPY_BYTES)).encode())
    elif path.stat().st_size not in (NVM_BYTES, _FIRST_NVM_BYTES):
        raise UsageError(f"{path} is not an NVM file of a board in memory: {path.stat().st_size} bytes, must be {NVM_BYTES}")
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.truncate(descriptor, NVM_BYTES)
        return mmap.mmap(descriptor, NVM_BYTES)
    finally:
        os.close(descriptor)
