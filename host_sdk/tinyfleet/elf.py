"""What a firmware takes of flash and RAM, and which symbols take it, read from its ELF file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinyfleet_codegen.errors import ImageError

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<IIIIIIIIII")
_SEGMENT = struct.Struct("<IIIIIIII")
_SYMBOL = struct.Struct("<IIIBBH")
_PT_LOAD = 1
_SHT_SYMTAB = 2
_SHT_NOBITS = 8
_SHF_WRITE = 1
_SHF_ALLOC = 2
_STT_FUNC = 2
_STT_MASK = 15


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named range of memory; ``address`` of a function is without the Thumb bit."""

    name: str
    address: int
    size: int
    is_function: bool = False


def elf_size(elf: Path) -> tuple[int, int]:
    """Flash and RAM bytes of a 32-bit little-endian ELF; initialised data counts in both.

    Raises:
        ImageError: the file is not such an ELF.
    """
    flash = ram = 0
    for _, kind, flags, _, _, size, *_ in _sections(elf, elf.read_bytes()):
        if flags & _SHF_ALLOC:
            flash += size if kind != _SHT_NOBITS else 0
            ram += size if flags & _SHF_WRITE else 0
    return flash, ram


def elf_symbols(elf: Path) -> list[Symbol]:
    """The named symbols of an ELF; none of a stripped one.

    Raises:
        ImageError: the file is not an ELF as :func:`elf_size` takes, or its symbol table is damaged.
    """
    data = elf.read_bytes()
    sections = list(_sections(elf, data))
    symbols = []
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind != _SHT_SYMTAB:
            continue
        if offset + size > len(data) or size % _SYMBOL.size or link >= len(sections):
            raise ImageError(f"{elf} has a damaged symbol table at {offset}, {size} bytes")
        names = data[sections[link][4] : sections[link][4] + sections[link][5]]
        for name_at, address, symbol_bytes, info, _, _ in _SYMBOL.iter_unpack(data[offset : offset + size]):
            name = names[name_at:].split(b"\0", 1)[0].decode(errors="replace")
            if name:
                is_function = info & _STT_MASK == _STT_FUNC
                symbols.append(Symbol(name, address & ~1 if is_function else address, symbol_bytes, is_function))
    return symbols


def elf_loaded(elf: Path) -> list[tuple[int, bytes]]:
    """What a programmer writes into memory: address and bytes of each segment that has any.

    Raises:
        ImageError: the file is not an ELF as :func:`elf_size` takes, or a segment is not in it.
    """
    data = elf.read_bytes()
    list(_sections(elf, data))  # It is an ELF.
    header = _HEADER.unpack_from(data)
    offset, size, count = header[5], header[9], header[10]
    loaded = []
    for i in range(count):
        if size != _SEGMENT.size or offset + (i + 1) * size > len(data):
            raise ImageError(f"{elf} has a damaged program header at {offset}")
        kind, at, _, address, bytes_in_file, *_ = _SEGMENT.unpack_from(data, offset + i * size)
        if kind == _PT_LOAD and bytes_in_file:
            if at + bytes_in_file > len(data):
                raise ImageError(f"{elf} is cut short: a segment ends at {at + bytes_in_file}, the file at {len(data)}")
            loaded.append((address, data[at : at + bytes_in_file]))
    return loaded


def elf_words(elf: Path) -> Iterator[tuple[int, int]]:
    """Address and value of every aligned 32-bit word that the ELF loads.

    Raises:
        ImageError: the file is not an ELF as :func:`elf_size` takes.
    """
    data = elf.read_bytes()
    for _, kind, flags, address, offset, size, *_ in _sections(elf, data):
        if flags & _SHF_ALLOC and kind != _SHT_NOBITS:
            skipped = -address % 4
            count = max(0, min(size, len(data) - offset) - skipped) // 4
            words = struct.unpack_from(f"<{count}I", data, offset + skipped)
            yield from zip(range(address + skipped, address + skipped + 4 * count, 4), words, strict=True)


def _sections(elf: Path, data: bytes) -> Iterator[tuple[int, ...]]:
    if len(data) < _HEADER.size or data[:6] != b"\x7fELF\x01\x01":
        raise ImageError(f"{elf} is not a 32-bit little-endian ELF file", hint="tinyfleet build writes one as firmware.elf")
    fields = _HEADER.unpack_from(data)
    table, entry_bytes, count = fields[6], fields[11], fields[12]
    if entry_bytes != _SECTION.size or table + count * entry_bytes > len(data):
        raise ImageError(f"{elf} is truncated: {len(data)} bytes, its section table ends at {table + count * entry_bytes}")
    for index in range(count):
        yield _SECTION.unpack_from(data, table + index * entry_bytes)
