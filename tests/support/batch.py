"""Many compiled models in one program, so that hundreds of them are compiled and run in seconds."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.support.op_cases import OpCase
from tinyfleet.toolchain import find_arm_gcc, find_host_cc, find_qemu
from tinyfleet_codegen.abi.table import print_kernel_table
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.firmware_tree import HOST_CLASS, firmware_dir, kernel_sources
from tinyfleet_codegen.ir import NUMPY_DTYPES
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import Target, load_target
from tinyfleet_codegen.text import c_array, c_identifier

PROGRAM = Path(__file__).parent / "batch_program"
MODELS_PER_FILE = 20
STRICT = ["-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Werror"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
MACHINES = {
    "mps2_an386": ("mps2-an386", ["-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]),
    "mps2_an385": ("mps2-an385", ["-mthumb", "-mcpu=cortex-m3"]),
    "mps2_an385_v6m": ("mps2-an385", ["-mthumb", "-mcpu=cortex-m0plus", "-masm-syntax-unified"]),
    "mps2_an500": ("mps2-an500", ["-mthumb", "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"]),
    "mps2_an505": ("mps2-an505", ["-mthumb", "-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"]),
    "mps3_an547": ("mps3-an547", ["-mthumb", "-mcpu=cortex-m55", "-mfloat-abi=hard", "-mfpu=auto"]),
}
"""Board -> QEMU machine and compiler flags of the batch program."""
MEMORY = {"mps2-an505": (0x10000000, 0x10000400, 0x38000000), "mps3-an547": (0x10000000, 0x11000000, 0x31000000)}
"""QEMU machine -> where vectors, code and data lie, when not as MPS2_MEMORY says."""
MPS2_MEMORY = (0, 0x400, 0x20000000)


def batch_target(board: str) -> Target:
    """The board as batches use it: on the Cortex-M3 with the portable kernels, which no board prefers."""
    target = load_target(board)
    return replace(target, cpu_class=HOST_CLASS) if board == "mps2_an385" else target


def compile_cases(cases: Sequence[OpCase], board: str | None = None) -> list[CompiledModel]:
    """Each case through the compiler, for a board or for the host."""
    target = None if board is None else batch_target(board)
    return [compile_graph(ModelPackage(case.name, case.tflite), target) for case in cases]


def write_batch(
    models: Sequence[CompiledModel], folder: Path, *, seed: int, inputs: int, cpu_class: str, layers: bool = False, blobs: bool = False
) -> list[Path]:
    """Write the generated sources of a batch; returns the C files to compile.

    Args:
        layers: The program writes every layer, not only the output.
        blobs: It opens the models as blobs.
    """
    arena = max(model.arena_bytes for model in models)
    (folder / "batch.h").write_text(
        f"""#include "tyf/model/model.h"
#define BATCH_MODELS {len(models)}u
#define BATCH_INPUTS {inputs}u
#define BATCH_SEED {seed}u
#define BATCH_LAYERS {int(layers)}
#define BATCH_ARENA_BYTES {arena}u
/* NULL when it cannot be opened. */
const tyf_model *batch_model(uint32_t number);
"""
    )
    generated = _write_blobs(models, folder, cpu_class) if blobs else _write_c(models, folder)
    lib = firmware_dir() / "lib"
    libraries = [*kernel_sources(cpu_class), *sorted((lib / "model/src").glob("*.c")), lib / "core/src/crc.c"]
    return [*generated, PROGRAM / "main.c", *libraries]


def _write_c(models: Sequence[CompiledModel], folder: Path) -> list[Path]:
    names = [c_identifier(model.name) for model in models]
    assert len(set(names)) == len(names), "two cases of one batch have the same C name"
    sources = []
    for start in range(0, len(models), MODELS_PER_FILE):
        together = zip(names[start : start + MODELS_PER_FILE], models[start : start + MODELS_PER_FILE], strict=True)
        sources.append(folder / f"models{start}.c")
        sources[-1].write_text("".join(_with_own_names(model.source.model_c, name) for name, model in together))
    externs = "\n".join(f"extern const tyf_model {name}_model;" for name in names)
    table = ", ".join(f"&{name}_model" for name in names)
    (folder / "models.c").write_text(f"""#include "batch.h"
{externs}
const tyf_model *batch_model(uint32_t number) {{
    static const tyf_model *const models[BATCH_MODELS] = {{{table}}};
    return models[number];
}}
""")
    return [*sources, folder / "models.c"]


def _with_own_names(model_c: str, name: str) -> str:
    """The generated C with static names that no other model has, so that several fit into one file: a compiler starts slowly."""
    renamed = re.sub(r"(?<![.\w])(op\d+_\w+|run|reset|model_id|frontend\w*|state\d+)\b", rf"{name}_\1", model_c)
    return renamed.replace('#include "model.h"', '#include "tyf/model/model.h"')


def _write_blobs(models: Sequence[CompiledModel], folder: Path, cpu_class: str) -> list[Path]:
    data = [print_blob(model.graph, model.plan, model.package, cpu_class) for model in models]
    arrays = "".join(c_array(f"static const _Alignas(16) uint8_t blob{i}", np.frombuffer(blob, np.uint8)) for i, blob in enumerate(data))
    table = ", ".join(f"{{blob{i}, sizeof blob{i}}}" for i in range(len(data)))
    (folder / "models.c").write_text(f"""#include <stdio.h>
#include "batch.h"
#include "tyf/model/blob.h"
{arrays}
const tyf_model *batch_model(uint32_t number) {{
    static const struct {{
        const uint8_t *data;
        size_t bytes;
    }} blobs[BATCH_MODELS] = {{{table}}};
    static tyf_blob blob;
    tyf_status status = tyf_blob_open(&blob, &tyf_kernels, blobs[number].data, blobs[number].bytes, BATCH_ARENA_BYTES);
    if (status != TYF_OK || !tyf_blob_is_intact(&blob)) {{
        fprintf(stderr, "blob %u: status %d\\n", (unsigned)number, (int)status);
        return NULL;
    }}
    return &blob.model;
}}
""")
    (folder / "kernel_table.c").write_text(print_kernel_table(cpu_class))
    return [folder / "models.c", folder / "kernel_table.c"]


def _includes(folder: Path) -> list[str]:
    return [f"-I{folder}", *(f"-I{firmware_dir() / 'lib' / name / 'include'}" for name in ("core", "model", "nn"))]


def _build(command: list[str], timeout_s: float = 300) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert result.returncode == 0, result.stderr[:4000]


def _run_on_host(models: Sequence[CompiledModel], folder: Path, *, seed: int, inputs: int, layers: bool, blobs: bool) -> bytes:
    sources = write_batch(models, folder, seed=seed, inputs=inputs, cpu_class=HOST_CLASS, layers=layers, blobs=blobs)
    _build([*find_host_cc(), *STRICT, *SANITIZE, *_includes(folder), *map(str, sources), "-o", str(folder / "batch")])
    result = subprocess.run([folder / "batch"], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[:4000]
    return (folder / "outputs.bin").read_bytes()


def run_board_program(sources: Sequence[Path], folder: Path, board: str, *, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Build a program for an emulated board and run it in ``folder``; files and output go through semihosting."""
    machine, cpu = MACHINES[board]
    places = zip(("VECTORS", "CODE", "DATA"), MEMORY.get(machine, MPS2_MEMORY), strict=True)
    link = [*(f"-Wl,--defsym=BATCH_{name}={origin:#x}" for name, origin in places), f"-T{PROGRAM / 'mps2.ld'}"]
    link += ["--specs=rdimon.specs", "-Wl,--no-warn-rwx-segments"]
    flags = [*cpu, "-O2", "-fwrapv", "-fno-move-loop-stores", *STRICT[:2]]
    files = [*map(str, sources), str(PROGRAM / "semihosting.c")]
    _build([str(find_arm_gcc()), *flags, *_includes(folder), *files, *link, "-o", str(folder / "program.elf")])
    qemu = find_qemu()
    command = [qemu.path, "-M", machine, "-display", "none", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", folder / "program.elf"]
    return subprocess.run(command, cwd=folder, env=qemu.env, capture_output=True, text=True, timeout=timeout_s, check=False)


def _run_on_board(models: Sequence[CompiledModel], folder: Path, *, seed: int, inputs: int, layers: bool, blobs: bool, board: str) -> bytes:
    sources = write_batch(models, folder, seed=seed, inputs=inputs, cpu_class=batch_target(board).cpu_class, layers=layers, blobs=blobs)
    result = run_board_program(sources, folder, board)
    assert result.returncode == 0, (result.returncode, result.stderr[:2000])
    return (folder / "outputs.bin").read_bytes()


def run_on_host(models: Sequence[CompiledModel], folder: Path, *, seed: int, inputs: int, blobs: bool = False) -> list[Array]:
    """Outputs ``[inputs, ...]`` of each model, from a program under AddressSanitizer and UBSan."""
    return _split(models, _run_on_host(models, folder, seed=seed, inputs=inputs, layers=False, blobs=blobs), inputs)


def run_on_board(models: Sequence[CompiledModel], folder: Path, *, seed: int, inputs: int, board: str, blobs: bool = False) -> list[Array]:
    """The same on an emulated MPS2 board, files through semihosting."""
    return _split(models, _run_on_board(models, folder, seed=seed, inputs=inputs, layers=False, blobs=blobs, board=board), inputs)


def run_layers(
    models: Sequence[CompiledModel], folder: Path, *, seed: int, inputs: int, board: str | None = None, blobs: bool = False
) -> list[list[list[bytes]]]:
    """What each layer wrote, by model, input and layer; on the host under sanitizers, or on an emulated board."""
    if board is None:
        data = _run_on_host(models, folder, seed=seed, inputs=inputs, layers=True, blobs=blobs)
    else:
        data = _run_on_board(models, folder, seed=seed, inputs=inputs, layers=True, blobs=blobs, board=board)
    file = io.BytesIO(data)
    sizes = [[model.graph.output_tensor(node).bytes for node in model.graph.nodes] for model in models]
    assert len(data) == inputs * sum(map(sum, sizes)), f"{len(data)} bytes of layers, expected {inputs * sum(map(sum, sizes))}"
    return [[[file.read(size) for size in of_model] for _ in range(inputs)] for of_model in sizes]


def _split(models: Sequence[CompiledModel], data: bytes, inputs: int) -> list[Array]:
    results: list[Array] = []
    offset = 0
    for model in models:
        dtype = np.dtype(NUMPY_DTYPES[model.output.dtype])
        count = int(np.prod(model.output.shape)) * inputs
        values: Array = np.frombuffer(data, dtype, count, offset).reshape(inputs, *model.output.shape[1:])
        results.append(values)
        offset += count * dtype.itemsize
    assert offset == len(data), f"{len(data)} bytes of outputs, expected {offset}"
    return results
