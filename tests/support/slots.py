"""Update slots in a board's memory, from outside: what a test puts there, and what it finds."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.board import load_board
from tinyfleet.image import SLOTS
from tinyfleet_codegen.wire import image as wire

BLANK = b"\xff" * wire.TRAILER_FLAG_BYTES
FLAG = bytes([wire.TRAILER_FLAG_SET]).ljust(wire.TRAILER_FLAG_BYTES, b"\xff")


@dataclass(frozen=True, slots=True)
class Trailer:
    """What the last page of a slot says."""

    is_requested: bool
    order: int
    tried: bytes
    confirmed: bytes

    @property
    def is_tried(self) -> bool:
        """Whether the bootloader has started the image once."""
        return self.tried != BLANK

    @property
    def is_confirmed(self) -> bool:
        """Whether the image stays."""
        return self.is_requested and self.confirmed == FLAG


class Slots:
    """The two slots in a memory that holds a board's NVM.

    Attributes:
        memory: All of it.
    """

    def __init__(self, memory: bytearray | mmap.mmap, board: str = "mps2_an386") -> None:
        facts = load_board(board)
        assert facts.page_bytes is not None
        self.memory = memory
        self.page_bytes = facts.page_bytes
        self.areas = [facts.require_area(name) for name in SLOTS]
        self.counters = [facts.require_area(name) for name in ("counter_0", "counter_1")]

    def put(self, slot: int, image: bytes) -> None:
        """Erase a slot and write an image into it, without a trailer."""
        area = self.areas[slot]
        self.memory[area.offset : area.offset + area.bytes] = image.ljust(area.bytes, b"\xff")

    def put_trailer(self, slot: int, order: int, *, is_tried: bool = False, is_confirmed: bool = False) -> None:
        """Have it asked for."""
        area = self.areas[slot]
        page = bytearray(b"\xff" * self.page_bytes)
        page[: len(wire.order_bytes(order))] = wire.order_bytes(order)
        page[-wire.TRAILER_MAGIC_FROM_END :] = wire.TRAILER_MAGIC
        if is_tried:
            page[-wire.TRAILER_TRIED_FROM_END] = wire.TRAILER_FLAG_SET
        if is_confirmed:
            page[-wire.TRAILER_CONFIRMED_FROM_END] = wire.TRAILER_FLAG_SET
        end = area.offset + area.bytes
        self.memory[end - self.page_bytes : end] = bytes(page)

    def image(self, slot: int, count: int) -> bytes:
        """The first bytes of a slot."""
        area = self.areas[slot]
        return bytes(self.memory[area.offset : area.offset + count])

    def trailer(self, slot: int) -> Trailer:
        """What its last page says."""
        end = self.areas[slot].offset + self.areas[slot].bytes
        page = bytes(self.memory[end - self.page_bytes : end])
        tried, confirmed = (
            page[len(page) - from_end : len(page) - from_end + wire.TRAILER_FLAG_BYTES]
            for from_end in (wire.TRAILER_TRIED_FROM_END, wire.TRAILER_CONFIRMED_FROM_END)
        )
        is_requested = page[-wire.TRAILER_MAGIC_FROM_END :] == wire.TRAILER_MAGIC
        return Trailer(is_requested, wire.read_order(page), tried, confirmed)


@contextmanager
def slots_in_file(nvm: Path, board: str) -> Iterator[Slots]:
    """The slots in the NVM file of an emulated board, running or not."""
    descriptor = os.open(nvm, os.O_RDWR)
    try:
        end = max(area.offset + area.bytes for area in Slots(bytearray(), board).areas)
        with mmap.mmap(descriptor, end) as memory:
            yield Slots(memory, board)
    finally:
        os.close(descriptor)
