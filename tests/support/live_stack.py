"""How deep the handlers' stack can get: live inference, and on it an interrupt of the board, and on that the tick.

What live inference calls through pointers is told from the sources and from where the linker put each function: its works, the
models that they run, the kernels that a blob names. A pointer that none of this explains is an error.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from tests.support.linker_map import CodePlaces
from tinyfleet.elf import elf_symbols, elf_words
from tinyfleet.stack_bound import EXCEPTION_FRAME_BYTES, pointed_functions, stack_bound
from tinyfleet_codegen.firmware_tree import firmware_dir

_SYSTEM_VECTORS = 16
_WORK = re.compile(r"tyf_port_live_(?:call\(|every\([^,;]+,\s*)(\w+)")
_TRACE = re.compile(r"tyf_sensor_infer\([^,;]+,\s*(\w+)")


def _named_in_sources(pattern: re.Pattern[str]) -> set[str]:
    sources = (firmware_dir() / "lib/sensor/src").glob("*.c")
    return {name for source in sources for name in pattern.findall(source.read_text(encoding="utf-8"))} - {"NULL", "trace"}


def handler_stack_bound(elf: Path, linker_map: Path) -> dict[str, int]:
    """Bytes by part: ``live``, ``interrupt`` and ``tick``, each with what the core pushes for it."""
    places = CodePlaces(linker_map)
    symbols = {symbol.address: symbol.name for symbol in elf_symbols(elf) if symbol.is_function}
    pointed = pointed_functions(elf, symbols)
    works, traces = _named_in_sources(_WORK), _named_in_sources(_TRACE)
    assert works and works <= set(symbols.values()), works

    def folder(address: int) -> str:
        return places[address].split("/")[0]

    def those(folders: Collection[str], names: Collection[str] | None = None) -> set[int]:
        return {address for address in pointed if folder(address) in folders and (names is None or symbols[address] in names)}

    def pointed_from(address: int) -> set[int]:
        if symbols[address] == "PendSV_Handler":
            return those(("lib_sensor",), works)
        match folder(address):
            case "lib_nn":  # from a loop into what it does at each turn
                return {target for target in pointed if places[target] == places[address]}
            case "lib_sensor":
                return those(("lib_model",), ("run", "reset")) | those(("model",)) - those_kernels()
            case "lib_model" | "model":
                return those_kernels() | those(("lib_sensor",), traces)
            case "arch" | "board":
                return those(("arch", "board"))
        raise AssertionError(f"{symbols[address]} of {places[address]} calls through a pointer: where to?")

    def those_kernels() -> set[int]:
        return {address for address in pointed if places[address] == "model/kernel_table.o"}

    vectors = {symbol.name: symbol.address for symbol in elf_symbols(elf)}["tyf_vectors"]
    words = dict(elf_words(elf))
    handlers = []
    for number in range(_SYSTEM_VECTORS, 256):
        handler = words.get(vectors + 4 * number, 0) & ~1
        if vectors + 4 * number in symbols or (handler and handler not in symbols):
            break  # behind the table
        if handler:
            handlers.append(symbols[handler])
    assert handlers
    return {
        "live": stack_bound(elf, "PendSV_Handler", pointed_from),
        "interrupt": EXCEPTION_FRAME_BYTES + max(stack_bound(elf, name, pointed_from) for name in set(handlers)),
        "tick": EXCEPTION_FRAME_BYTES + stack_bound(elf, "SysTick_Handler", pointed_from),
    }
