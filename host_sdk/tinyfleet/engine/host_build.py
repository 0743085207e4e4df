"""Compile the kernels with a model's generated C, or with the loader of blobs, into a shared library, once per content."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.abi.table import print_kernel_table
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.errors import BuildError
from tinyfleet_codegen.firmware_tree import HOST_CLASS, firmware_dir, kernel_sources

LIBRARIES = ("core", "model", "nn")
"""Folders of ``firmware/lib`` that a model on the host needs; of core only the headers."""

FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fwrapv", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-fvisibility=default")
"""-fwrapv: sums of a hostile blob may overflow, and then they wrap. -O3: with -O2, gcc 12 leaves the portable loops scalar and two of
the five MLPerf Tiny models slower than TFLite Micro."""

TIMEOUT_S = 300


def user_cache_dir() -> Path:
    """``tinyfleet`` in the user's cache folder: what can be made or fetched again."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "tinyfleet"


def cache_dir() -> Path:
    """Where built libraries are kept."""
    return user_cache_dir() / "engine"


def build_library(model: CompiledModel, extra_flags: tuple[str, ...] = ()) -> Path:
    """Path of the shared library of this model; built when it is not in the cache.

    Raises:
        SetupError: this machine has no C compiler.
        BuildError: the compiler refused the generated code or the cache cannot be written.
    """
    return _build("compiled_model", (), {"model.c": model.source.model_c, "model.h": model.source.model_h}, extra_flags)


def build_blob_library(extra_flags: tuple[str, ...] = ()) -> Path:
    """Path of the shared library that opens blobs for the host; built when it is not in the cache.

    Raises:
        SetupError, BuildError: as for :func:`build_library`.
    """
    loader = ("lib/model/src/blob.c", "lib/model/src/contract.c", "lib/core/src/crc.c")
    return _build("blob_model", loader, {"kernel_table.c": print_kernel_table(HOST_CLASS)}, extra_flags)


def _build(entry: str, more: tuple[str, ...], generated: dict[str, str], extra_flags: tuple[str, ...]) -> Path:
    """Compile the kernels with ``entry``.c of this package, ``more`` of the firmware's files and generated ones."""
    firmware = firmware_dir()
    own = Path(__file__).parent
    sources = [own / "engine.c", own / f"{entry}.c", *kernel_sources(HOST_CLASS)]
    sources += [firmware / name for name in ("lib/model/src/frontend.c", "lib/model/src/seeded.c", *more)]
    headers = sorted(h for library in LIBRARIES for h in (firmware / "lib" / library).rglob("*.h"))
    command = [*find_host_cc(), *FLAGS, *extra_flags]
    digest = hashlib.sha256("\0".join([*command, *generated.values()]).encode())
    for path in [*sources, *headers, own / "engine.h", own / f"{entry}.h"]:
        digest.update(path.read_bytes())
    library = cache_dir() / f"{digest.hexdigest()[:32]}.so"
    if library.exists():
        return library
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
            folder = Path(scratch)
            for name, text in generated.items():
                (folder / name).write_text(text, encoding="utf-8")
            includes = [f"-I{folder}", f"-I{own}", *(f"-I{firmware / 'lib' / name / 'include'}" for name in LIBRARIES)]
            built = folder / "model.so"
            written = [str(folder / name) for name in generated if name.endswith(".c")]
            _compile([*command, *includes, *written, *map(str, sources), "-o", str(built)])
            # Atomic: another process may build the same library at the same time.
            built.replace(library)
    except OSError as error:
        raise BuildError(f"cannot write {error.filename}: {error.strerror}", hint="set XDG_CACHE_HOME to a folder you can write") from error
    return library


def _compile(command: list[str]) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise BuildError(f"the host compiler did not finish within {TIMEOUT_S} s: {command[0]}") from None
    if result.returncode != 0:
        first = next((line for line in result.stderr.splitlines() if "error" in line), result.stderr.strip()[:300])
        raise BuildError(f"the host compiler {command[0]} failed: {first}", hint="run `tinyfleet doctor`")
