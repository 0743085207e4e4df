"""Damaged blobs by the ten thousand, opened and run under AddressSanitizer and UBSan."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tests.support.batch import SANITIZE, STRICT, run_board_program
from tests.support.op_cases import all_cases
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.abi.table import print_kernel_table
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.firmware_tree import HOST_CLASS, firmware_dir, kernel_sources
from tinyfleet_codegen.package import FrontEnd, ModelPackage
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.text import c_array
from tinyfleet_codegen.wire.ids import Status

PROGRAM = Path(__file__).parent / "blob_fuzz_program"
MOST_BLOB_BYTES = 8192
"""Larger blobs of the corpus are left out: their runs are slow and their calls are no other ones."""


@dataclass(frozen=True, slots=True)
class FuzzResult:
    """What happened to the damaged blobs.

    Attributes:
        intact: Opened with the right checksum: every change was undone by another.
        statuses: How many gave each status; what opened was run.
        finding: What a sanitizer said, with the round's seed, or empty.
    """

    rounds: int
    intact: int
    statuses: dict[str, int]
    finding: str


def build_fuzzer(folder: Path, table: str | None = None) -> Path:
    """Compile the program; kernels wrap on overflow, as the values in a hostile blob are not bounded (nor used as addresses).

    Args:
        folder: Keeps the objects, so that another table costs little.
        table: C source of the table of kernels, when it is not the right one.
    """
    lib = firmware_dir() / "lib"
    sources = [PROGRAM / "main.c", *sorted((lib / "model/src").glob("*.c")), lib / "core/src/crc.c", *kernel_sources(HOST_CLASS)]
    includes = [f"-I{lib / name / 'include'}" for name in ("core", "model", "nn")]
    command = [*find_host_cc(), *STRICT, *SANITIZE, "-O2", "-fwrapv", "-D_GNU_SOURCE", *includes]
    objects = folder / "objects"
    if not objects.exists():
        objects.mkdir()
        _run([*command, "-c", *map(str, sources)], objects)
    (folder / "kernel_table.c").write_text(table or print_kernel_table(HOST_CLASS))
    program = folder / "fuzz"
    _run([*command, str(folder / "kernel_table.c"), *map(str, sorted(objects.glob("*.o"))), "-o", str(program)], folder)
    return program


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[:4000]


@cache
def corpus_blobs(board: str | None = None) -> tuple[bytes, ...]:
    """Every op case that is small, and a model with a front end; for the host or for a board."""
    target = None if board is None else load_target(board)
    packages = [ModelPackage(case.name, case.tflite) for cases in all_cases().values() for case in cases]
    smallest = min((p for p in packages if p.name.startswith("max_pool")), key=lambda p: len(p.tflite))
    elements = compile_graph(smallest, None).input.shape
    window = elements[1] * elements[2]
    front = FrontEnd(window, window, 50.0, (0,) * elements[3], (0.01,) * elements[3])
    packages.append(ModelPackage("front", smallest.tflite, front))
    models = [compile_graph(package, target) for package in packages]
    blobs = [print_blob(model.graph, model.plan, model.package, model.cpu_class) for model in models]
    return tuple(blob for blob in blobs if len(blob) <= MOST_BLOB_BYTES)


def write_corpus(folder: Path) -> list[Path]:
    """The corpus as files."""
    paths = []
    for i, blob in enumerate(corpus_blobs()):
        paths.append(folder / f"{i}.tfm")
        paths[-1].write_bytes(blob)
    return paths


def fuzz(program: Path, corpus: Sequence[Path], *, seed: int, rounds: int, timeout_s: float) -> FuzzResult:
    """Run some rounds; each has its own seed, ``seed`` + its number."""
    result = subprocess.run(
        [program, str(seed), str(rounds), *corpus], capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
    )
    if result.returncode != 0:
        return FuzzResult(rounds, 0, {}, f"exit {result.returncode}\n{result.stderr[-6000:]}")
    done, intact, *counts = map(int, result.stdout.split())
    names = {-int(status): status.name for status in Status}
    return FuzzResult(done, intact, {names[i]: count for i, count in enumerate(counts) if count}, "")


def fuzz_on_board(folder: Path, board: str, *, seed: int, rounds: int, timeout_s: float) -> tuple[int, str]:
    """Damaged blobs for a board's kernels on the emulated board, with guards around their memory.

    Returns:
        How many opened and ran, and what was found: a write outside, a fault, or no end; or empty.
    """
    blobs = corpus_blobs(board)
    (folder / "corpus.h").write_text(
        f"""#include "damage.h"
#define CORPUS_FILES {len(blobs)}u
#define CORPUS_ROUNDS {rounds}u
#define CORPUS_SEED {seed}u
#define CORPUS_MOST_BYTES {max(map(len, blobs)) // 16 * 16 + 16}u
extern const file corpus[CORPUS_FILES];
"""
    )
    arrays = "".join(c_array(f"static const uint8_t blob{i}", np.frombuffer(blob, np.uint8)) for i, blob in enumerate(blobs))
    files = ", ".join(f"{{blob{i}, sizeof blob{i}}}" for i in range(len(blobs)))
    (folder / "corpus.c").write_text(f'#include "corpus.h"\n{arrays}const file corpus[CORPUS_FILES] = {{{files}}};\n')
    for name in ("damage.h", "board.c"):
        shutil.copy(PROGRAM / name, folder)
    cpu_class, lib = load_target(board).cpu_class, firmware_dir() / "lib"
    (folder / "kernel_table.c").write_text(print_kernel_table(cpu_class))
    generated = [folder / name for name in ("board.c", "corpus.c", "kernel_table.c")]
    sources = [*generated, *sorted((lib / "model/src").glob("*.c")), lib / "core/src/crc.c", *kernel_sources(cpu_class)]
    try:
        result = run_board_program(sources, folder, board, timeout_s=timeout_s)
    except subprocess.TimeoutExpired:
        return 0, f"{board}: no end after {timeout_s:g} s"
    if result.returncode != 0:
        return 0, f"{board}: exit {result.returncode}: {result.stdout} {result.stderr[-2000:]}"
    return int(result.stdout), ""
