"""Sizes and symbols of an ELF that is made by hand, and of damaged ones."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tinyfleet.elf import Symbol, elf_size, elf_symbols
from tinyfleet_codegen.errors import ImageError

HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
SECTION = struct.Struct("<IIIIIIIIII")
PROGBITS, SYMTAB, STRTAB, NOBITS = 1, 2, 3, 8
WRITE, ALLOC = 1, 2
FUNC, OBJECT = 2, 1


def elf(names: bytes, symbols: bytes, *, link: int = 3) -> bytes:
    """Sections: none, 40 bytes of code, 24 of cleared variables, names, symbols."""
    data = names + symbols
    table = HEADER.size + len(data)
    sections = [
        (0,) * 10,
        (0, PROGBITS, ALLOC, 0, 0, 40, 0, 0, 4, 0),
        (0, NOBITS, ALLOC | WRITE, 0x20000000, 0, 24, 0, 0, 4, 0),
        (0, STRTAB, 0, 0, HEADER.size, len(names), 0, 0, 1, 0),
        (0, SYMTAB, 0, 0, HEADER.size + len(names), len(symbols), link, 0, 4, 16),
    ]
    head = HEADER.pack(b"\x7fELF\x01\x01\x01", 2, 40, 1, 0, 0, table, 0, HEADER.size, 0, 0, SECTION.size, len(sections), 0)
    return head + data + b"".join(SECTION.pack(*section) for section in sections)


NAMES = b"\0main\0op0_weights\0"
SYMBOLS = b"".join(
    struct.pack("<IIIBBH", *symbol) for symbol in [(0, 0, 0, 0, 0, 0), (1, 0x101, 20, 1 << 4 | FUNC, 0, 1), (6, 0x201, 12, OBJECT, 0, 1)]
)


def test_sizes_and_symbols(tmp_path: Path) -> None:
    path = tmp_path / "a.elf"
    path.write_bytes(elf(NAMES, SYMBOLS))
    assert elf_size(path) == (40, 24)
    # Only a function's lowest bit is the Thumb bit.
    assert elf_symbols(path) == [Symbol("main", 0x100, 20, is_function=True), Symbol("op0_weights", 0x201, 12, is_function=False)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a 32-bit little-endian ELF"),
        (b"\x7fELF\x02\x01" + bytes(60), "not a 32-bit little-endian ELF"),
        (elf(NAMES, SYMBOLS)[:-1], "is truncated"),
        (elf(NAMES, SYMBOLS, link=9), "damaged symbol table"),
        (elf(NAMES, SYMBOLS[:-1]), "damaged symbol table"),
    ],
)
def test_damage_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.elf"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message):
        elf_symbols(path)


def test_every_single_damaged_byte_is_refused_or_read(tmp_path: Path) -> None:
    whole = elf(NAMES, SYMBOLS)
    path = tmp_path / "a.elf"
    for at in range(len(whole)):
        for value in (0x00, 0x7F, 0xFF):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                elf_symbols(path)
                elf_size(path)
            except ImageError:
                pass
