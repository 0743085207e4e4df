"""How much flash and RAM a firmware takes, read from its ELF file."""

from __future__ import annotations

import struct
from pathlib import Path

from tinyfleet_codegen.errors import ImageError

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<IIIIIIIIII")
_SHT_NOBITS = 8
_SHF_WRITE = 1
_SHF_ALLOC = 2


def elf_size(elf: Path) -> tuple[int, int]:
    """Flash and RAM bytes of a 32-bit little-endian ELF; initialised data counts in both.

    Raises:
        ImageError: the file is not such an ELF.
    """
    data = elf.read_bytes()
    if len(data) < _HEADER.size or data[:6] != b"\x7fELF\x01\x01":
        raise ImageError(f"{elf} is not a 32-bit little-endian ELF file")
    fields = _HEADER.unpack_from(data)
    table, entry_bytes, count = fields[6], fields[11], fields[12]
    if entry_bytes != _SECTION.size or table + count * entry_bytes > len(data):
        raise ImageError(f"{elf} is truncated: {len(data)} bytes, its section table ends at {table + count * entry_bytes}")
    flash = ram = 0
    for index in range(count):
        _, kind, flags, _, _, size, *_ = _SECTION.unpack_from(data, table + index * entry_bytes)
        if flags & _SHF_ALLOC:
            flash += size if kind != _SHT_NOBITS else 0
            ram += size if flags & _SHF_WRITE else 0
    return flash, ram
