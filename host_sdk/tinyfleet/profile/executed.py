"""Which instructions one inference executes, by class, and what they may cost in cycles.

The emulator logs the first address of every block that it executes; the disassembly tells what lies between. The classes add up
to what the board counted, or there are none. The cycles are an estimate by a stated model, never a count.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.bench.measure import infer
from tinyfleet.elf import elf_symbols
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.profile.cycle_model import MODELS, CycleModel, Executed, always
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.errors import ImageError, ProtocolError
from tinyfleet_codegen.target import load_target

TRACED_INSTRUCTIONS = 40_000_000
"""Longest inference whose blocks are logged: some 5 bytes of a temporary file an instruction."""

_TOLERANCE_INSTRUCTIONS = 200
"""The board's own count begins and ends a few instructions outside the model."""

_CONDITION = r"(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
_CLASSES = (
    ("branch", re.compile(rf"(?:(?:b|bl|bx|blx){_CONDITION}|cbn?z|tb[bh]|letp|le|wls|wlstp)")),
    ("load", re.compile(r"(?:ldr|ldm|pop|vld|vpop).*")),
    ("store", re.compile(r"(?:str|stm|push|vst|vpush).*")),
    ("multiply", re.compile(r"(?:mul|ml[as]|sm(?:ul|la|ls|ml|mu|ua|us)|um(?:ul|la|aa)|v(?:r?n?ml|n?mul|r?mul|q?r?d?mul|q?r?dml|fm)).*")),
)
_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{4} )+) *\t([a-z][\w.]*)\t?([^;@]*)")
_BLOCK = re.compile(rb"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/[0-9a-f]+/([0-9a-f]+)\]")
_CUT_MASK = 0x1FF
"""Of a block's flags: after how many instructions it was cut, 0 if at its own end."""

_PAGE_BYTES = 1024
_ENDS_BLOCK = re.compile(r"(?:cps|msr|isb|vctp|vpst|vpt|dls|lctp|vmsr|svc|wf[ie]).*")


@dataclass(frozen=True, slots=True)
class InstructionClasses:
    """Executed instructions of one inference by what they do; ``other`` is the rest of the arithmetic, moves included."""

    load: int
    store: int
    multiply: int
    branch: int
    other: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.load + self.store + self.multiply + self.branch + self.other


@dataclass(frozen=True, slots=True)
class CycleEstimate:
    """What one inference may take; no measurement.

    Attributes:
        cycles: The usual; ``lowest_cycles`` and ``highest_cycles`` with the bounds of what the model leaves open.
        model: Name of the rules.
        assumptions: The rules.
        error: What is known of their error.
    """

    cycles: int
    lowest_cycles: int
    highest_cycles: int
    model: str
    assumptions: str
    error: str


@dataclass(frozen=True, slots=True)
class _Instruction:
    address: int
    bytes: int
    kind: str
    executed: Executed
    is_single_load: bool
    ends_block: bool
    """It changes how the emulator translates what follows."""


def count_classes(
    elf: Path, board: str, scratch: Path, tensor: bytes, output_bytes: int, instructions: int
) -> tuple[InstructionClasses | None, CycleEstimate | None]:
    """Run one inference of the bench app under the emulator's log.

    Args:
        scratch: Folder for the log, which is removed at the end.
        instructions: What the board counted for the same inference.

    Returns:
        Classes, None if they do not add up to ``instructions`` or the inference is longer than ``TRACED_INSTRUCTIONS``, and
        for a core with Helium, whose instructions the disassembler does not tell apart;
        and the estimate, None without classes and for cores without a :mod:`~tinyfleet.profile.cycle_model`.

    Raises:
        LinkError, ImageError: the program does not run, or cannot be disassembled.
        ProtocolError: the log ends inside the inference.
    """
    target = load_target(board)
    # The disassembler takes much of Helium for coprocessor instructions.
    if instructions > TRACED_INSTRUCTIONS or target.cpu_class == "mve":
        return None, None
    log = scratch / "blocks.log"
    try:
        with EmulatedBoard.start(board, elf, scratch / "traced.bin", block_log=log) as running:
            asyncio.run(infer(running.url, tensor, output_bytes))
        blocks = _model_blocks(log, elf)
    finally:
        log.unlink(missing_ok=True)
    code = _disassemble(elf)
    model = MODELS.get(target.cpu)
    counts = Counter[str]()
    mix = Counter[Executed]()
    taken = after_load = 0
    for (start, cut, successor), times in blocks.items():
        was_load = False
        address = start
        for instruction in _walk(code, start, cut, successor):
            counts[instruction.kind] += times
            mix[instruction.executed] += times
            after_load += times * (was_load and instruction.is_single_load)
            was_load = instruction.is_single_load
            address = instruction.address + instruction.bytes
        taken += times * (address != successor)
    classes = InstructionClasses(**{name: counts[name] for name in ("load", "store", "multiply", "branch", "other")})
    if abs(classes.total - instructions) > _TOLERANCE_INSTRUCTIONS:
        return None, None
    return classes, None if model is None else _estimate(model, mix, taken, after_load)


def _estimate(model: CycleModel, mix: Counter[Executed], taken: int, after_load: int) -> CycleEstimate:
    cycles = model.taken.times(taken) + always(-model.saved_by_load_after_load * after_load)
    for executed, count in mix.items():
        cycles += model.cost(executed).times(count)
    return CycleEstimate(cycles.usual, cycles.lowest, cycles.highest, model.name, model.assumptions, model.error)


def _model_blocks(log: Path, elf: Path) -> Counter[tuple[int, int, int]]:
    """How often which block (address, cut, address of the next) ran between the model's first instruction and the return to main."""
    symbols = {symbol.name: symbol for symbol in elf_symbols(elf) if symbol.is_function}
    if not {"run", "main"} <= symbols.keys():
        raise ImageError(f"{elf} has no functions run and main")
    entry, main = symbols["run"].address, range(symbols["main"].address, symbols["main"].address + symbols["main"].size)
    executed: Counter[tuple[int, int, int]] = Counter()
    last: tuple[int, int] | None = None
    before_last: tuple[int, int] | None = None
    with log.open("rb") as lines:
        for line in lines:
            if block := _BLOCK.match(line):
                address, cut = int(block[1], 16), int(block[2], 16) & _CUT_MASK
                if last is None and address != entry:
                    continue
                if last is not None:
                    executed[(*last, address)] += 1
                    if address in main:
                        return executed
                before_last, last = last, (address, cut)
            elif line.startswith(b"Stopped") and last is not None:
                # The block that was logged last did not run after all; it is logged again when it does.
                if before_last is not None:
                    executed[(*before_last, last[0])] -= 1
                last, before_last = before_last, None
    raise ProtocolError("the emulator's log ends inside the model")


def _walk(code: dict[int, _Instruction], address: int, cut: int, successor: int) -> Iterator[_Instruction]:
    """The instructions of one block: up to a branch, to where it was cut, or to the end of a page.

    That the next block begins at an address is not enough: a loop's first round and its later ones end with the same branch.
    """
    count, start = 0, address
    while (instruction := code.get(address)) is not None:
        yield instruction
        count += 1
        address += instruction.bytes
        is_page_end = address // _PAGE_BYTES != start // _PAGE_BYTES or address % _PAGE_BYTES == _PAGE_BYTES - 2
        if instruction.kind == "branch" or count == cut or (address == successor and (is_page_end or instruction.ends_block)):
            return


def _disassemble(elf: Path) -> dict[int, _Instruction]:
    objdump = find_arm_gcc().with_name("arm-none-eabi-objdump")
    try:
        listing = subprocess.run([str(objdump), "-d", str(elf)], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ImageError(f"{elf} cannot be disassembled: {error}") from error
    found = (_INSTRUCTION.match(line) for line in listing.splitlines())
    return {int(i[1], 16): _instruction(int(i[1], 16), 2 * len(i[2].split()), i[3], i[4]) for i in found if i}


def _instruction(address: int, size: int, mnemonic: str, operands: str) -> _Instruction:
    stem = mnemonic.split(".", maxsplit=1)[0]
    kind = next((name for name, pattern in _CLASSES if pattern.fullmatch(stem)), "other")
    words = _words(stem, operands) if kind in ("load", "store") else 0
    loads_pc = kind == "load" and re.search(r"\bpc\b(?!\])", operands.split("[", maxsplit=1)[0]) is not None
    if loads_pc or (kind == "other" and operands.startswith("pc,")):
        kind = "branch"
    executed = Executed(stem, kind, words, loads_pc)
    return _Instruction(address, size, kind, executed, kind == "load" and words == 1, _ENDS_BLOCK.fullmatch(stem) is not None)


def _words(stem: str, operands: str) -> int:
    """Words that a load or store moves."""
    listed = re.search(r"\{(.*?)\}", operands)
    if listed is None:
        return 2 if stem.startswith(("ldrd", "strd")) else 1
    count = 0
    for part in listed[1].split(","):
        first, _, last = part.strip().partition("-")
        count += int(last[1:]) - int(first[1:]) + 1 if last else 1
    return count
