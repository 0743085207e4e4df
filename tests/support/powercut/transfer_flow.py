"""A file is sent into a slot, given up for another one, and sent again: after a restart it goes on where the board kept its place."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

from tests.support.host_board import HostBoard, Mutant, build_host_board
from tests.support.powercut.sweep import Flow
from tests.support.signed_images import SLOT_ADDRESSES, factory_nvm, make_image
from tinyfleet_codegen.wire import image as wire
from tinyfleet_codegen.wire.ids import Command, SmpGroup
from tinyfleet_codegen.wire.nvm import Identity

WRITE, IMAGE_UPLOAD = 2, 1
MODEL_SLOT = 0x40000
CHUNK_BYTES = 480
MARK_BYTES = 4096
"""``TYF_CFG_TRANSFER_MARK_BYTES`` of the tests' host board."""


class TransferFlow(Flow):
    """Most of one file, all of another, then all of the first.

    What the board says that it has, it has: the end is the file, byte by byte, and nobody is told to begin again. What was
    acknowledged up to a kept place is not asked for again.
    """

    def __init__(self, folder: Path, *, model: bool, mutants: tuple[Mutant, ...] = ()) -> None:
        self.name = f"upload of {'a package' if model else 'an image'} over restarts"
        self.model = model
        body = random.Random(9).randbytes
        if model:
            self.file, self.other, self.at = body(5300), body(700), MODEL_SLOT
        else:
            self.file, self.other = make_image(1, (2, 0, 0, 0), body(4600)), make_image(1, (3, 0, 0, 0), body(100))
            self.at = SLOT_ADDRESSES[1]
        self.host = HostBoard(build_host_board(folder, mutants))
        self.flash = self.host
        self._base = factory_nvm(Identity(bytes(range(16)), bytes(32)).encode(), make_image(0))
        self.begin()

    def begin(self) -> None:
        """See :class:`Flow`."""
        self.host.open(self._base)
        self._power_on()
        self.kept, self.is_done = 0, False
        self.steps = ((self.file, MARK_BYTES + 700), (self.other, len(self.other)), (self.file, len(self.file)))

    def _power_on(self) -> None:
        self.host.c.tyf_host_run_image(SLOT_ADDRESSES[0] + wire.FIRMWARE_HEADER_BYTES)
        self.host.power_on()

    def run(self) -> None:
        """See :class:`Flow`."""
        if self.is_done:
            return
        steps, self.steps = self.steps, self.steps[-1:]  # after a cut the host wants the one file only
        for file, end in steps:
            if file is self.other:
                self.kept = 0
            if not self._send(file, end):
                return
        self.is_done = True

    def _send(self, file: bytes, end: int) -> bool:
        """Up to ``end`` or beyond; False when the power went off."""
        at, begins = 0, True
        while begins or at < end:
            more = {"len": len(file), "sha": hashlib.sha256(file).digest()} if begins else {}
            reply = self._ask({"off": at, "data": file[at : at + CHUNK_BYTES], **more})
            if reply is None:
                return False
            assert "off" in reply, f"refused at {at}: {reply}"
            assert reply["off"] > at or begins, f"sent back from {at} to {reply['off']}"
            at, begins = reply["off"], False
            if file is self.file:
                assert at >= self.kept, f"it kept {self.kept} bytes and goes on at {at}"
                self.kept = at // MARK_BYTES * MARK_BYTES
        return True

    def _ask(self, body: dict[str, Any]) -> dict[str, Any] | None:
        group, command = (SmpGroup.TINYFLEET, Command.MODEL_UPLOAD) if self.model else (SmpGroup.IMAGE, IMAGE_UPLOAD)
        return self.host.command(WRITE, group, command, body) if self.host.is_on() else None

    def verify(self) -> list[str]:
        """See :class:`Flow`."""
        self._power_on()
        return []

    def verify_done(self) -> list[str]:
        """See :class:`Flow`."""
        return [] if self.host.read(self.at, len(self.file)) == self.file else ["what lies in the slot is not the file"]
