"""The most stack that a program can use, from the machine code of its linked image.

Each instruction that moves the stack pointer is followed along every branch of its function; calls add up along the deepest path.
A call through a pointer may go to any function whose address lies in the image, but to none that is running already: nothing here
is recursive. Interrupts have a stack of their own; what the core pushes onto the interrupted one is added by the caller.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable, Collection, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tinyfleet.elf import elf_symbols, elf_words
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.errors import ImageError

EXCEPTION_FRAME_BYTES = 108
"""What a core pushes when an interrupt comes: 26 words with floating-point registers, and one to align."""

_FUNCTION = re.compile(r"^([0-9a-f]+) <(.+)>:$")
_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t([a-z][\w.]*)\t?([^;@]*)")
_TARGET = re.compile(r"\b([0-9a-f]+) <")
_AMOUNT = re.compile(r"#(-?\d+)")
_CONSTANT = re.compile(r"op\d+_")
_CONDITION = r"(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)"
_BRANCH = re.compile(rf"^(?:b|b{_CONDITION}|cbz|cbnz|bf|wls|le|dls|wlstp\.\d+|letp)(?:\.[nw])?$")
_ALWAYS = re.compile(r"^b(?:\.[nw])?$")


class _Recursion(ImageError):
    """A function is called that is running already."""


@dataclass(slots=True)
class _Function:
    name: str
    frame_bytes: int = 0
    calls: list[tuple[int, int | None]] = field(default_factory=list)
    """(depth at the call, address of the callee; None through a pointer)."""
    unbounded: str = ""
    """An instruction that moves the stack pointer by an amount that only the program knows."""


def stack_bound(elf: Path, entry: str, pointed_from: Callable[[int], Collection[int]] | None = None) -> int:
    """Most bytes of stack that a call of ``entry`` uses, its own frame included.

    Args:
        pointed_from: Address of a function that calls through a pointer -> addresses of the functions that it may call so; None:
            whatever has its address in the image.

    Raises:
        SetupError: the Arm tools are missing.
        ImageError: there is no such function, or the stack grows by an amount that only the program knows.
    """
    functions = _read_functions(elf)
    start = next((address for address, function in functions.items() if function.name == entry), None)
    if start is None:
        raise ImageError(f"{elf} has no function {entry}")
    pointed = pointed_functions(elf, functions)
    known: dict[tuple[int, frozenset[int]], int] = {}

    def bound(address: int, running: frozenset[int]) -> int:
        key = (address, running & pointed)
        if key not in known:
            function = functions[address]
            if function.unbounded:
                raise ImageError(f"{function.name}: the stack has no bound known when it is built: {function.unbounded}")
            deepest = function.frame_bytes
            for depth, callee in function.calls:
                if callee is not None:
                    if callee in running:
                        raise _Recursion(f"{function.name} calls {functions[callee].name}, which is running already: it has no bound")
                    deepest = max(deepest, depth + bound(callee, running | {callee}))
                    continue
                allowed = pointed if pointed_from is None else pointed & frozenset(pointed_from(address))
                for target in sorted(allowed - running):
                    # A word that happens to equal an address is no pointer to a function which leads back here.
                    with contextlib.suppress(_Recursion):
                        deepest = max(deepest, depth + bound(target, running | {target}))
            known[key] = deepest
        return known[key]

    return bound(start, frozenset({start}))


def _read_functions(elf: Path) -> dict[int, _Function]:
    """Functions by address."""
    objdump = find_arm_gcc().with_name("arm-none-eabi-objdump")
    command = [str(objdump), "-d", "--no-show-raw-insn", str(elf)]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ImageError(f"{elf} cannot be disassembled: {error}") from error
    bodies: dict[int, tuple[str, list[tuple[int, str, str]]]] = {}
    code = {symbol.address for symbol in elf_symbols(elf) if symbol.is_function}
    body: list[tuple[int, str, str]] = []
    for line in listing.splitlines():
        if head := _FUNCTION.match(line):
            # A label inside a function written in assembly does not begin another one.
            if int(head[1], 16) in code or not bodies:
                body = []
                bodies[int(head[1], 16)] = (head[2], body)
        elif instruction := _INSTRUCTION.match(line):
            body.append((int(instruction[1], 16), instruction[2], instruction[3].strip()))
    return {address: _analyse(name, body, set(bodies)) for address, (name, body) in bodies.items() if address in code}


def _analyse(name: str, body: list[tuple[int, str, str]], entries: set[int]) -> _Function:
    """Follow the stack pointer from the first instruction along every path."""
    function = _Function(name)
    position = {address: i for i, (address, _, _) in enumerate(body)}
    depth_at: dict[int, int] = {}
    pending = [(0, 0)]
    while pending or len(depth_at) < len(body):
        if not pending:
            # Reached through a table of jumps only: there the frame is whole.
            missing = next(i for i in range(len(body)) if i not in depth_at)
            pending.append((missing, function.frame_bytes if not body[missing][1].startswith(".") else 0))
        index, depth = pending.pop()
        if index >= len(body) or depth_at.get(index, -1) >= depth:
            continue
        depth_at[index] = depth
        _, mnemonic, operands = body[index]
        growth = _growth(mnemonic, operands)
        if growth is None:
            function.unbounded = f"{mnemonic} {operands}"
        after = depth + (growth or 0)
        function.frame_bytes = max(function.frame_bytes, depth, after)
        target = int(found[1], 16) if (found := _TARGET.search(operands)) else None
        if mnemonic in ("bl", "blx") and target is not None:
            function.calls.append((after, target & ~1))
        elif mnemonic == "blx" or (mnemonic == "bx" and operands != "lr"):
            function.calls.append((after, None))
        elif _BRANCH.match(mnemonic) and target is not None:
            if target in position:
                pending.append((position[target], after))
            elif target in entries:
                function.calls.append((after, target))
        is_end = _ALWAYS.match(mnemonic) or mnemonic == "bx" or _is_return(mnemonic, operands) or mnemonic == "udf"
        if not is_end and not mnemonic.startswith("."):
            pending.append((index + 1, after))
    return function


def _is_return(mnemonic: str, operands: str) -> bool:
    return (mnemonic.startswith(("pop", "ldm")) and "pc}" in operands) or (mnemonic.startswith("ldr") and operands.startswith("pc, [sp]"))


def _growth(mnemonic: str, operands: str) -> int | None:
    """Bytes by which an instruction makes the stack deeper; negative when it gives back, None when nobody knows."""
    kind = mnemonic.split(".", maxsplit=1)[0]
    if kind in ("push", "vpush") or (kind in ("stmdb", "vstmdb") and operands.startswith("sp!")):
        return _register_bytes(operands)
    if kind in ("pop", "vpop") or (kind in ("ldmia", "ldm", "vldmia") and operands.startswith("sp!")):
        return -_register_bytes(operands)
    if moved := re.search(r"\[sp(?:, (?P<before>#-?\d+)\]!|\], (?P<after>#-?\d+))", operands):
        return -_amount(moved["before"] or moved["after"])
    if kind in ("sub", "subw", "add", "addw") and re.match(r"sp, (sp, )?#", operands):
        return _amount(operands) if kind.startswith("sub") else -_amount(operands)
    if re.match(r"sp\b", operands) and kind in ("sub", "add", "mov", "ldr", "and", "bic"):
        return None
    return 0


def _amount(text: str) -> int:
    found = _AMOUNT.search(text)
    return int(found[1]) if found else 0


def _register_bytes(operands: str) -> int:
    """Size of a register list such as ``{r4-r7, lr}`` or ``{d8-d15}``."""
    total = 0
    for item in operands[operands.index("{") + 1 : operands.index("}")].split(","):
        first, _, last = item.strip().partition("-")
        count = int(last[1:]) - int(first[1:]) + 1 if last else 1
        total += count * (8 if first.startswith("d") else 4)
    return total


def pointed_functions(elf: Path, functions: Container[int]) -> frozenset[int]:
    """Those of the functions, named by their addresses, whose address is in the image, other than in the table of interrupts."""
    tables = [symbol.address for symbol in elf_symbols(elf) if symbol.name == "tyf_vectors"]
    first_code = min(symbol.address for symbol in elf_symbols(elf) if symbol.is_function)
    # Weights and tables of the generated code hold no addresses, but numbers that may look like one.
    constants = [range(s.address, s.address + s.size) for s in elf_symbols(elf) if _CONSTANT.match(s.name)]

    def found() -> Iterator[int]:
        for address, word in elf_words(elf):
            is_vector = any(table <= address < first_code for table in tables)
            if word & 1 and word - 1 in functions and not is_vector and not any(address in c for c in constants):
                yield word - 1

    return frozenset(found())
