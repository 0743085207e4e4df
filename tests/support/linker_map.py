"""What a firmware's parts take of its memories, from the linker's map."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from pathlib import Path

_ENTRY = re.compile(r"^ (\.(\w+)\S*)?\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s+(\S+\.o)$")
_NAME = re.compile(r"^ \.(\w+)\S*$")
_FLASH = {"text", "rodata", "data"}
_RAM = {"data", "bss"}


def flash_of_objects(linker_map: Path) -> Counter[str]:
    """Bytes in flash by object, named ``folder/file.o`` as the build lays them out, for example ``lib_nn/conv2d_s8_dsp.o``."""
    return _sizes(linker_map, _FLASH)


def ram_of_objects(linker_map: Path) -> Counter[str]:
    """Bytes of variables, likewise."""
    return _sizes(linker_map, _RAM)


def _sizes(linker_map: Path, kinds: set[str]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    text = linker_map.read_text(encoding="utf-8", errors="replace")
    section = None
    for line in text[text.index("Linker script and memory map") :].splitlines():
        if name := _NAME.match(line):
            section = name[1]
            continue
        entry = _ENTRY.match(line)
        if entry and (entry[2] or section) in kinds:
            sizes["/".join(Path(entry[4]).parts[-2:])] += int(entry[3], 16)
        section = None
    return sizes


_CODE = re.compile(r"^ (?:\.text\S*)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S+)$")


class CodePlaces:
    """Which object the code at an address comes from."""

    def __init__(self, linker_map: Path) -> None:
        text = linker_map.read_text(encoding="utf-8", errors="replace")
        lines = text[text.index("Linker script and memory map") :].splitlines()
        found = (_CODE.match(line) for line in lines)
        self._sections = sorted((int(entry[1], 16), int(entry[2], 16), entry[3]) for entry in found if entry and int(entry[2], 16))
        self._begins = [begin for begin, _, _ in self._sections]

    def __getitem__(self, address: int) -> str:
        """The object, named as in :func:`flash_of_objects`."""
        begin, size, name = self._sections[bisect_right(self._begins, address) - 1]
        assert begin <= address < begin + size, hex(address)
        return "/".join(Path(name).parts[-2:])
