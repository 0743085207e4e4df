"""What one model costs on an emulated board in the smallest program that runs it: ``firmware/apps/bench``.

The board counts the instructions of one inference itself, with interrupts held, so the count repeats (within one, the counter's
resolution). Start-up is counted from outside, one step at a time. Flash is split by the linked image's symbols.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.cases import Cases
from tinyfleet.elf import elf_symbols
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.link.opening import open_pipe
from tinyfleet.oracle import open_oracle
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.emit.constants import ConstantKind, constant_kind
from tinyfleet_codegen.errors import LinkTimeout, ProtocolError
from tinyfleet_codegen.package import ModelPackage

SEED, CASE = 1, 2
"""The first seeded input that is not constant; counts hardly depend on it (clamped outputs may be cheaper)."""

_APP = "bench"
_READY_SYMBOL = "tyf_bench_receive"
_STARTUP_LIMIT = 100_000
_REPORT = struct.Struct("<III")
_TIMEOUT_S = 120.0
_CONSTANT = re.compile(r"op(\d+)(?:_\d+)?_(.+)")


@dataclass(frozen=True, slots=True)
class FlashSplit:
    """Bytes of flash by what they are for; they add up to the image.

    Attributes:
        weights_bytes: Packed weights, in some packings with biases and scalings between them.
        tables_bytes: Biases, multipliers, shifts and what else there is per channel.
        code_bytes: All else: kernels, generated code, start-up, drivers, C library, padding.
    """

    weights_bytes: int
    tables_bytes: int
    code_bytes: int

    @property
    def bytes(self) -> int:
        """The whole image."""
        return self.weights_bytes + self.tables_bytes + self.code_bytes


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model on one board.

    Attributes:
        instructions: Executed by one inference.
        startup_instructions: From reset until the program waits for its first input.
        static_bytes: Variables, without arena and stacks.
        stack_bytes: Most of the main stack in use, painted before.
    """

    board: str
    model: str
    instructions: int
    macs: int
    startup_instructions: int
    flash: FlashSplit
    arena_bytes: int
    static_bytes: int
    stack_bytes: int

    @property
    def ram_bytes(self) -> int:
        """What an inference needs: arena, variables, stack."""
        return self.arena_bytes + self.static_bytes + self.stack_bytes


def measure(package: ModelPackage, board: str, work_dir: Path, *, arena_budget_bytes: int | None = None) -> Measurement:
    """Build the bench app with the model, boot it, run one inference and check its output against the oracle.

    Args:
        work_dir: Where it is built; models of one board that share it share the objects of everything but the model.
        arena_budget_bytes: See :func:`tinyfleet_codegen.compile.compile_graph`.

    Raises:
        CompileError, BuildError, LinkError: see :mod:`tinyfleet_codegen.errors`.
        ProtocolError: the board computed other bytes than the oracle, or cannot count instructions.
    """
    folder = work_dir / board
    compiled = compile_model(package, board, folder / "model", arena_budget_bytes=arena_budget_bytes)
    firmware = build_firmware(board, folder / "model", folder / "firmware", app=_APP)
    x = Cases(compiled, SEED).input(CASE)
    oracle = open_oracle(package.tflite, package.name)
    expected = oracle.run(x).tobytes()
    with EmulatedBoard.start(board, firmware.elf, folder / "nvm.bin") as running:
        report, output = asyncio.run(infer(running.url, x.tobytes(), len(expected)))
    instructions, _, stack_bytes = _REPORT.unpack(report)
    if output != expected:
        raise ProtocolError(
            f"{package.name} on {board} computed other bytes than {oracle.name}",
            hint=f"tinyfleet verify {package.name}.tflite --on emu://{board} names the layer",
        )
    if instructions == 0:
        raise ProtocolError(f"{board} cannot count instructions")
    return Measurement(
        board=board,
        model=package.name,
        instructions=instructions,
        macs=compiled.macs,
        startup_instructions=_startup_instructions(board, firmware.elf, folder / "nvm.bin"),
        flash=split_flash(firmware.elf, firmware.flash_bytes),
        arena_bytes=compiled.arena_bytes,
        static_bytes=firmware.ram_bytes - compiled.arena_bytes - _reserved_stack_bytes(firmware.elf),
        stack_bytes=stack_bytes,
    )


def firmware_elf(work_dir: Path, board: str) -> Path:
    """The program that :func:`measure` left in its folder."""
    return work_dir / board / "firmware" / "firmware.elf"


def split_flash(elf: Path, flash_bytes: int) -> FlashSplit:
    """Split an image by the names of the generated constants (``op<index>_<name>``).

    Raises:
        ImageError: the file is not an ELF.
    """
    sizes = Counter[ConstantKind]()
    for symbol in elf_symbols(elf):
        if name := _CONSTANT.fullmatch(symbol.name):
            sizes[constant_kind(name[2])] += symbol.size
    weights, tables = sizes[ConstantKind.WEIGHTS], sizes[ConstantKind.TABLES]
    return FlashSplit(weights, tables, flash_bytes - weights - tables)


async def infer(url: str, tensor: bytes, output_bytes: int) -> tuple[bytes, bytes]:
    """Send the input to the bench app, wait for report and output."""
    wanted = _REPORT.size + output_bytes
    received = b""
    try:
        async with asyncio.timeout(_TIMEOUT_S), open_pipe(url) as pipe:
            await pipe.write(tensor)
            while len(received) < wanted:
                received += await pipe.read()
    except TimeoutError as error:
        raise LinkTimeout(f"{len(received)} of {wanted} bytes came from {url} within {_TIMEOUT_S:g} s") from error
    return received[: _REPORT.size], received[_REPORT.size :]


def _startup_instructions(board: str, elf: Path, nvm: Path) -> int:
    with EmulatedBoard.start(board, elf, nvm, halted=True) as halted:
        assert halted.debugger is not None
        return halted.debugger.instructions_until(_address(elf, _READY_SYMBOL), limit=_STARTUP_LIMIT)


def _reserved_stack_bytes(elf: Path) -> int:
    """Both stacks: the main one, of which only what is used is counted, and that of interrupts and faults."""
    return _address(elf, "tyf_handler_stack_end") - _address(elf, "tyf_stack_begin")


def _address(elf: Path, name: str) -> int:
    return next(symbol.address for symbol in elf_symbols(elf) if symbol.name == name)
