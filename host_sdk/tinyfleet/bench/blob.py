"""What it costs to run a model as a blob instead of generated C: instructions of one inference, and of opening it once."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.bench.measure import CASE, SEED
from tinyfleet.cases import Cases
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.link.opening import open_pipe
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.errors import LinkTimeout, ProtocolError
from tinyfleet_codegen.package import ModelPackage

_REPORT = struct.Struct("<III")
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class BlobCost:
    """Instructions of one inference as C and as a blob, and of opening the blob; flash of both programs.

    The program of the blob holds every kernel of the core's class, as it would for a blob that it does not know yet.
    """

    model: str
    board: str
    c_instructions: int
    blob_instructions: int
    open_instructions: int
    c_flash_bytes: int
    blob_flash_bytes: int


def measure_blob(package: ModelPackage, board: str, work_dir: Path) -> BlobCost:
    """Build the bench app with the model as C and as a blob, which opens at the first inference, and run two inferences of each.

    Raises:
        CompileError, BuildError, LinkError: see :mod:`tinyfleet_codegen.errors`.
        ProtocolError: the outputs differ, or the board cannot count instructions.
    """
    counts, outputs, flash = [], set(), []
    for name, blob in (("c", False), ("blob", True)):
        folder = work_dir / f"{board}-{name}"
        compiled = compile_model(package, board, folder / "model", blob=blob)
        firmware = build_firmware(board, folder / "model", folder / "firmware", app="bench")
        flash.append(firmware.flash_bytes)
        tensor = Cases(compiled, SEED).input(CASE).tobytes()
        with EmulatedBoard.start(board, firmware.elf, folder / "nvm.bin") as running:
            for report, output in asyncio.run(_infer_twice(running.url, tensor, compiled.graph.tensors[compiled.graph.outputs[0]].bytes)):
                counts.append(_REPORT.unpack(report)[0])
                outputs.add(output)
    if len(outputs) != 1 or not all(counts):
        raise ProtocolError(f"{package.name} on {board}: {len(outputs)} different outputs of C and blob, instructions {counts}")
    _, as_c, first_blob, as_blob = counts
    return BlobCost(package.name, board, as_c, as_blob, first_blob - as_blob, *flash)


async def _infer_twice(url: str, tensor: bytes, output_bytes: int) -> list[tuple[bytes, bytes]]:
    """Report and output of two inferences."""
    wanted, results = _REPORT.size + output_bytes, []
    try:
        async with asyncio.timeout(_TIMEOUT_S), open_pipe(url) as pipe:
            for _ in range(2):
                received = b""
                await pipe.write(tensor)
                while len(received) < wanted:
                    received += await pipe.read()
                results.append((received[: _REPORT.size], received[_REPORT.size :]))
    except TimeoutError as error:
        raise LinkTimeout(f"{len(results)} of 2 inferences answered from {url} within {_TIMEOUT_S:g} s") from error
    return results
