"""What a crash record says, with functions, files and lines from the firmware's ELF.

::

    record = decode_crash(data)
    report = explain_crash(record, Path("build/firmware.elf"))
    print(report.place, report.trace)
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.elf import elf_loaded, elf_symbols
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.errors import BuildError, ImageError
from tinyfleet_codegen.wire.crash import CONTEXT_LIVE, CONTEXT_THREAD, CONTEXT_UNKNOWN, CrashRecord, CrashWhy

HASH_BYTES = 8
_FIRST_INTERRUPT = 16
_FAULTS = (
    (0x0000_0001, "instruction fetched where none may be"),
    (0x0000_0002, "access that the memory protection unit forbids"),
    (0x0000_0010, "stack out of bounds when an exception came"),
    (0x0000_0100, "instruction fetched where nothing is"),
    (0x0000_0200, "access where nothing is"),
    (0x0000_0400, "access where nothing is, some instructions before"),
    (0x0000_1000, "stack where nothing is when an exception came"),
    (0x0001_0000, "undefined instruction"),
    (0x0002_0000, "call of an address that is no code"),
    (0x0004_0000, "return from an exception that was none"),
    (0x0008_0000, "instruction of a unit that is off"),
    (0x0010_0000, "stack below its limit"),
    (0x0100_0000, "unaligned access"),
    (0x0200_0000, "division by zero"),
)
"""Bits of the configurable fault status, in words."""


@dataclass(frozen=True, slots=True)
class CodePlace:
    """Where an address lies in the sources; ``line`` is 0 where the ELF does not know."""

    address: int
    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.function} at {self.file}:{self.line}" if self.line else f"0x{self.address:08x}"


@dataclass(frozen=True, slots=True)
class CrashReport:
    """A crash in words.

    Attributes:
        why: What ended the program, as :class:`CrashWhy` names it, in lower case.
        context: What ran: ``management``, ``live inference``, ``interrupt N`` or ``unknown``.
        faults: What the core said.
        place: Where it happened; None without an ELF, or when the stack was lost.
        caller: Where it would have returned to; None as above.
        trace: Further places that the stack names, innermost first: callers, and perhaps some that had returned.
    """

    why: str
    context: str
    faults: tuple[str, ...]
    place: CodePlace | None = None
    caller: CodePlace | None = None
    trace: tuple[CodePlace, ...] = ()


def firmware_hash(elf: Path) -> bytes:
    """The hash of a program as its crash records carry it, 8 bytes; see docs/spec/crash.md.

    Raises:
        ImageError: the file is no ELF of our firmware.
    """
    symbols = {symbol.name: symbol.address for symbol in elf_symbols(elf)}
    if not {"tyf_vectors", "tyf_image_end"} <= symbols.keys():
        raise ImageError(f"{elf} is no firmware of tinyfleet: it lacks the symbols of its image")
    start, end = symbols["tyf_vectors"], symbols["tyf_image_end"]
    image = bytearray(end - start)
    for address, data in elf_loaded(elf):
        if start <= address and address + len(data) <= end:
            image[address - start : address - start + len(data)] = data
    return hashlib.sha256(image).digest()[:HASH_BYTES]


def explain_crash(record: CrashRecord, elf: Path | None = None) -> CrashReport:
    """Put a record into words.

    Args:
        elf: The firmware that crashed, with its symbols; None: no places.

    Raises:
        ImageError: the ELF is another firmware than the one that crashed, or is none of ours.
        SetupError, BuildError: the Arm tools are missing or fail.
    """
    why = CrashWhy(record.why).name.lower() if record.why in list(CrashWhy) else str(record.why)
    faults = tuple(text for bit, text in _FAULTS if record.cfsr & bit)
    if elf is None:
        return CrashReport(why, _context(record.context), faults)
    if any(record.firmware_hash) and record.firmware_hash != firmware_hash(elf):
        raise ImageError(
            f"{elf} is not the firmware that crashed: its hash is {firmware_hash(elf).hex()}, the record has {record.firmware_hash.hex()}",
            hint="give the firmware.elf of the build that ran on the device",
        )
    code = [(s.address, s.address + s.size) for s in elf_symbols(elf) if s.is_function and s.size]

    def is_return_address(word: int) -> bool:
        return bool(word & 1) and any(start < word - 1 <= end for start, end in code)

    # A return address is that of the instruction after the call, with the Thumb bit: the call is before it.
    returns = [word - 3 for word in (record.lr, *record.stack) if is_return_address(word)]
    pc = [record.pc] if record.pc else []
    places = locate([*pc, *returns], elf)
    place = places.pop(0) if pc else None
    caller = places.pop(0) if is_return_address(record.lr) else None
    return CrashReport(why, _context(record.context), faults, place, caller, tuple(places))


def locate(addresses: list[int], elf: Path) -> list[CodePlace]:
    """Function, file and line of each address.

    Raises:
        SetupError: the Arm tools are missing.
        BuildError: they fail.
    """
    if not addresses:
        return []
    tool = find_arm_gcc().with_name("arm-none-eabi-addr2line")
    try:
        command = [str(tool), "-f", "-e", str(elf), *map(hex, addresses)]
        lines = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{tool.name} cannot read {elf}: {error}") from error
    places = []
    for address, function, where in zip(addresses, lines[::2], lines[1::2], strict=True):
        file, _, line = where.split(" ")[0].rpartition(":")
        number = int(line) if line.isdigit() else 0
        places.append(CodePlace(address, function, file if number else "", number))
    return places


def _context(number: int) -> str:
    if number >= _FIRST_INTERRUPT and number != CONTEXT_UNKNOWN:
        return f"interrupt {number - _FIRST_INTERRUPT}"
    names = {CONTEXT_THREAD: "management", CONTEXT_LIVE: "live inference", CONTEXT_UNKNOWN: "unknown"}
    return names.get(number, f"exception {number}")
