"""Emulated boards whose power is cut: the program stops at an operation of the flash, and the emulator is killed.

What is checked is the file that is left, and which program starts from it: each image carries a marker of its own.
"""

from __future__ import annotations

import mmap
import os
import random
import secrets
import shutil
import struct
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.images import key, public
from tests.support.powercut.flash_bytes import (
    NOT_SET,
    PAGE_BYTES,
    SET,
    UNIT_BYTES,
    Security,
    confirmed_trailer,
    newest_security,
    read_trailer,
)
from tests.support.signed_images import HOST_VENDOR, keys_header, sign_body
from tinyfleet.board import load_board
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire.nvm import read_boot_id
from tinyfleet_codegen.wire.settings import read_settings

BOARD = "mps2_an386"
OTHER_BOARD = "mps2_an505"
"""ARMv8-M, with memory protection of its own."""
APP = Path(__file__).parent / "board_app"
PAGE_OFFSET, PAGE_MAGIC = 0x3000, 0x43465954
PAGE = struct.Struct("<8I16s16s")
MAILBOX_OFFSET = 0x400000
MARKER = b"tinyfleet marker"
BEFORE, TORN, AFTER = range(3)
OLD_COUNTER, NEW_COUNTER = 3, 5
BEFORE_UPDATE = Security(OLD_COUNTER, public(key("firmware")))
AFTER_UPDATE = Security(NEW_COUNTER, public(key("firmware")), public(key("next")))
"""The new image vouches for the next key."""
STEPS = 120
"""Changes of settings; they fill more than an area."""
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Page:
    """What the program wrote into the control page."""

    operations: int
    stopped: int
    progress: int
    done: int
    first: bytes
    running: bytes


@dataclass(frozen=True, slots=True)
class Programs:
    """What a board starts with, and for an update the images of the two slots with their markers."""

    elf: Path
    old: bytes = b""
    new: bytes = b""
    markers: tuple[bytes, ...] = ()


def build_direct(folder: Path, board: str) -> Programs:
    """The program that works off flows, started without a bootloader."""
    return Programs(build_firmware(board, None, _output(folder, board), app=str(_app(folder, APP)), name="direct").elf)


@cache
def build_update(folder: Path, board: str) -> Programs:
    """The bootloader, and the program as an image for each slot, signed with the tests' key; built once for a folder."""
    facts, output = load_board(board), _output(folder, board)
    class_id = uuid.uuid5(uuid.UUID(bytes=HOST_VENDOR), board).bytes
    markers, images = (secrets.token_bytes(16), secrets.token_bytes(16)), []
    for slot, (version, security) in enumerate((((1, 0, 0, 0), BEFORE_UPDATE), ((1, 1, 0, 0), AFTER_UPDATE))):
        built = build_firmware(board, None, output, app=str(_app(folder, APP)), area=f"slot_{slot}", name=f"slot{slot}")
        body = built.image.read_bytes()
        assert body.count(MARKER) == 1
        address = facts.require_area(f"slot_{slot}").address
        body = body.replace(MARKER, markers[slot])
        next_key = security.next_key if slot == 1 else b""
        images.append(sign_body(body, address, version, counter=security.counter, next_key=next_key, class_id=class_id))
    # In a folder of its own: it is another app, which the builder would take for a change of the first one.
    bootloader = build_firmware(
        board, None, _output(folder, f"{board}_boot"), app=str(_app(folder, firmware_dir() / "apps/bootloader")), name="bootloader"
    )
    return Programs(bootloader.elf, images[0], images[1], markers)


def _app(folder: Path, source: Path) -> Path:
    """A copy of an app with the campaign's keys, that stops where a cut is planned."""
    app = folder / source.name
    if not app.exists():
        shutil.copytree(source, app)
        (app / "tyf_keys.h").write_text(keys_header())
        with (app / "app_config.h").open("a") as config:
            config.write("\n#undef TYF_CFG_FLASH_CUT\n#define TYF_CFG_FLASH_CUT 1\n")
    return app


def _output(folder: Path, name: str) -> Path:
    output = folder / f"out_{name}"
    output.mkdir(exist_ok=True)
    return output


class KilledBoard(ABC):
    """One NVM file, started again and again.

    Attributes:
        name: Of the flow, for people.
        board: Id of the board.
        flow: Number of it, which tells the program what to do.
        kills: How often the emulator was killed.
    """

    name: str
    flow: int

    def __init__(self, programs: Programs, folder: Path, board: str) -> None:
        self.programs = programs
        self.board = board
        self.nvm = folder / f"{board}.{self.flow}.nvm"
        self._facts = load_board(board)
        create_nvm(self.nvm, board)
        self._put_images()
        with self._memory() as memory:
            self._base = bytes(memory)
        self.kills = 0

    def _put_images(self) -> None:
        if not self.programs.old:
            return
        with self._memory() as memory:
            area = self._facts.require_area("slot_0")
            end = area.offset + area.bytes
            memory[area.offset : end] = self.programs.old.ljust(area.bytes - PAGE_BYTES, b"\xff") + confirmed_trailer(order=7)
            memory[MAILBOX_OFFSET : MAILBOX_OFFSET + 4] = len(self.programs.new).to_bytes(4, "little")
            memory[MAILBOX_OFFSET + 16 : MAILBOX_OFFSET + 16 + len(self.programs.new)] = self.programs.new

    @contextmanager
    def _memory(self) -> Iterator[mmap.mmap]:
        descriptor = os.open(self.nvm, os.O_RDWR)
        try:
            with mmap.mmap(descriptor, MAILBOX_OFFSET + 0x100000) as memory:
                yield memory
        finally:
            os.close(descriptor)

    def new(self) -> None:
        """As it was before the flow."""
        with self._memory() as memory:
            memory[:] = self._base

    def start(self, cut_at: int = 0, how: int = BEFORE, progress: int = 0) -> Page:
        """Run until the program stops or is done, and kill the emulator.

        Raises:
            AssertionError: neither happened in time, or the program failed.
        """
        with self._memory() as memory:
            self._write_page(memory, cut_at, how, progress)
            with EmulatedBoard.start(self.board, self.programs.elf, self.nvm) as board:
                deadline = time.monotonic() + _TIMEOUT_S
                while not (page := self._page(memory)).stopped and not page.done:
                    assert time.monotonic() < deadline and board.is_running, f"{self.name}: neither stopped nor done: {page}"
                    time.sleep(0.002)  # The file is the only thing that the program writes.
                board.kill()
        self.kills += 1
        assert page.stopped or page.done == 1, f"the program failed with {page.done - 0x100}"
        return page

    def _write_page(self, memory: mmap.mmap, cut_at: int, how: int, progress: int = 0) -> None:
        page = PAGE.pack(PAGE_MAGIC, cut_at, how, self.flow, 0, 0, progress, 0, bytes(16), bytes(16))
        memory[PAGE_OFFSET : PAGE_OFFSET + PAGE.size] = page

    @staticmethod
    def _page(memory: mmap.mmap) -> Page:
        _, _, _, _, operations, stopped, progress, done, first, running = PAGE.unpack(memory[PAGE_OFFSET : PAGE_OFFSET + PAGE.size])
        return Page(operations, stopped, progress, done, first, running)

    def read(self, area: str) -> bytes:
        """An area of the file."""
        place = self._facts.require_area(area)
        with self._memory() as memory:
            return memory[place.offset : place.offset + place.bytes]

    def boot_id(self) -> int:
        """As the file has it."""
        with self._memory() as memory:
            return read_boot_id(memory[:0x3000])

    def kill_and_check(self, cut_at: int, how: int) -> list[str]:
        """Cut one operation, look at the file, start again, let the flow end; what is wrong."""
        self.new()
        page = self.start(cut_at, how)
        if not page.stopped:
            return ["the cut did not happen"]
        boot_id = self.boot_id()
        wrong = self.check(page)
        if not self.boot_id() > boot_id:
            wrong.append(f"boot_id {boot_id} did not rise: {self.boot_id()}")
        return wrong

    @abstractmethod
    def check(self, page: Page) -> list[str]:
        """Look at the file that the cut left, start again, let the flow end, look at what is there then; what is wrong."""


def _settings_after(steps: int) -> dict[bytes, bytes]:
    """What the program's changes make."""
    values: dict[bytes, bytes] = {}
    for step in range(1, steps + 1):
        key = bytes([ord("a") + step % 3])
        values.pop(key, None)
        if step % 5:
            values[key] = bytes([step]) * (200 - step % 50)
    return values


class KilledSettings(KilledBoard):
    """Settings are changed over the end of a log."""

    name = "settings"
    flow = 0

    def __init__(self, folder: Path, board: str = BOARD) -> None:
        super().__init__(build_direct(folder, board), folder, board)

    def _values(self) -> dict[bytes, bytes]:
        return read_settings((self.read("settings_0"), self.read("settings_1")), UNIT_BYTES)

    def check(self, page: Page) -> list[str]:
        """See :class:`KilledBoard`."""
        found = self._values()
        wrong = []
        if found not in (_settings_after(page.progress), _settings_after(min(STEPS, page.progress + 1))):
            wrong.append(f"after {page.progress} changes the file holds {found}")
        self.start(progress=page.progress)
        if self._values() != _settings_after(STEPS):
            wrong.append(f"at the end the file holds {self._values()}")
        return wrong


class KilledUpdate(KilledBoard):
    """The bootloader starts a new image, which is not confirmed."""

    name = "firmware update, reverted"
    flow = 1
    confirms = False

    def __init__(self, folder: Path, board: str = BOARD) -> None:
        super().__init__(build_update(folder, board), folder, board)

    def _security(self) -> Security:
        return newest_security(self.read("counter_0"), self.read("counter_1"))

    def check(self, page: Page) -> list[str]:
        """See :class:`KilledBoard`."""
        programs, is_confirming = self.programs, self.confirms
        trailer, security = read_trailer(self.read("slot_1")[-PAGE_BYTES:]), self._security()
        wrong = []
        if self.read("slot_0")[: len(programs.old)] != programs.old:
            wrong.append("the image that ran was changed")
        if security not in (Security(), BEFORE_UPDATE) and (security != AFTER_UPDATE or trailer.confirmed != SET):
            wrong.append(f"the security log says {security}, and no image that asks for it is confirmed")
        may_run_new = trailer.is_requested and (trailer.tried == NOT_SET or trailer.confirmed == SET)
        must_run_new = page.progress == 3 or (page.progress >= 1 and trailer.tried == NOT_SET)
        if page.progress == 3 and trailer.confirmed != SET:
            wrong.append("it was confirmed, and the file does not say so")
        # A host repeats an update that it has no confirmation of; one that only tries the image does not.
        after = self.start(progress=page.progress if page.progress == 3 or not is_confirming else 0)
        ran_new = after.first == programs.markers[1]
        if after.first not in programs.markers or after.running not in programs.markers:
            wrong.append(f"something else runs: {after.first.hex()}, {after.running.hex()}")
        if ran_new and self.read("slot_1")[: len(programs.new)] != programs.new:
            wrong.append("slot 1 runs and is not byte by byte the image that was signed for it")
        if ran_new and not may_run_new:
            wrong.append("the new image runs, not asked for or a second time without a confirmation")
        if not ran_new and must_run_new:
            wrong.append("the old image runs after the new one was confirmed, or asked for and not yet tried")
        if after.running != programs.markers[1 if is_confirming else 0]:
            wrong.append("the wrong image runs at the end")
        if self._security() != (AFTER_UPDATE if is_confirming else BEFORE_UPDATE):
            wrong.append(f"the security log says {self._security()} at the end")
        return wrong


class KilledConfirmedUpdate(KilledUpdate):
    """The bootloader starts a new image, which is confirmed."""

    name = "firmware update, confirmed"
    flow = 2
    confirms = True


def sample_cuts(operations: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Operations to cut and how: the first and the last ones, where the decisions are, and others by chance."""
    source = random.Random(seed)
    near = [*range(1, 9), *range(operations - 32, operations + 1)]
    return [
        (source.choice(near) if number % 2 else source.randint(1, operations), source.choice((BEFORE, TORN, AFTER)))
        for number in range(count)
    ]
