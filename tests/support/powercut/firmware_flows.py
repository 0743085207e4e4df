"""Firmware is updated and confirmed, or updated and not confirmed; the security counter is raised."""

from __future__ import annotations

import ctypes
import hashlib
import random
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.support.flash_library import FlashLibrary, build_flash_library
from tests.support.host_board import HostBoard, Mutant, build_host_board
from tests.support.images import key, public
from tests.support.powercut.flash_bytes import NOT_SET, PAGE_BYTES, SET, Security, confirmed_trailer, newest_security
from tests.support.powercut.sweep import Flow
from tests.support.signed_images import image_digest, keys_header, make_image
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire import image as wire
from tinyfleet_codegen.wire.ids import SmpGroup, Status
from tinyfleet_codegen.wire.nvm import IDENTITY_BYTES, Identity

SLOTS = (0x140000, 0x240000)
SLOT_BYTES = 0x100000
COUNTERS = (0xC000, 0xD000)
COUNTER_BYTES = 0x1000
FLASH_BYTES = 0x340000
CHUNK_BYTES = 480
"""Of an upload, as a host sends them."""
OLD_COUNTER, NEW_COUNTER = 3, 5
NO_KEY = b"\xff" * wire.KEY_BYTES
WRITE, STATE, UPLOAD = 2, 0, 1
"""SMP's operation, and commands of its group image."""


def build_boot(folder: Path, firmware: Path | None = None) -> FlashLibrary:
    """Compile ``lib/boot`` with the campaign's keys."""
    (folder / "tyf_keys.h").write_text(keys_header())
    image = (firmware or firmware_dir()) / "boards/host/image.c"
    return FlashLibrary(
        build_flash_library(
            folder,
            libraries=("flash_map", "crypto", "boot"),
            firmware=firmware,
            sources=[image],
            includes=[folder],
            crypto=True,
        )
    )


def security_in(flash: FlashLibrary) -> Security:
    """What the security log says, by its bytes."""
    first, second = (flash.read(begin, COUNTER_BYTES) for begin in COUNTERS)
    return newest_security(first, second)


class Rotation(StrEnum):
    """What an update does to the firmware key."""

    NONE = "none"
    OFFERED = "the next key offered"
    """The new image, signed with the key of today, vouches for the next one: both are valid once it is confirmed."""
    TAKEN = "the next key taken"
    """The new image is signed with the next key, which the old one vouched for: the old key goes when it is confirmed."""


class SecurityStruct(ctypes.Structure):
    """``tyf_security``."""

    _fields_ = (
        ("sequence", ctypes.c_uint32),
        ("counter", ctypes.c_uint32),
        ("key", ctypes.c_uint8 * wire.KEY_BYTES),
        ("next_key", ctypes.c_uint8 * wire.KEY_BYTES),
    )


class UpdateFlow(Flow):
    """A board on one slot gets another firmware into the other one.

    What is checked stands in the bytes: a board that starts runs an image that is byte by byte one that was signed for that
    slot; the new one only after it was asked for; without a confirmation only once; with one always. The security counter and
    the keys are those of before or those of after, all of them; they change only when the new image is confirmed, and never back.
    """

    def __init__(
        self,
        folder: Path,
        *,
        confirm: bool,
        new: int = 1,
        rotation: Rotation = Rotation.NONE,
        body_bytes: int = 4200,
        firmware: Path | None = None,
    ) -> None:
        self.name = f"firmware update of slot {new}, {'confirmed' if confirm else 'reverted'}"
        if rotation is not Rotation.NONE:
            self.name += f", {rotation}"
        self.confirm = confirm
        self.old, self.new = 1 - new, new
        self.flash = self._build(folder, firmware)
        body = random.Random(7).randbytes
        today, following = key("firmware"), key("next")
        is_offered_before = rotation is Rotation.TAKEN
        offer = public(following)
        # With one counter it is the key alone that shuts the old image out.
        new_counter = OLD_COUNTER if is_offered_before else NEW_COUNTER
        self.images = {
            self.old: make_image(
                self.old, (1, 0, 0, 0), body(body_bytes), counter=OLD_COUNTER, next_key=offer if is_offered_before else b""
            ),
            self.new: make_image(
                self.new,
                (1, 1, 0, 0),
                body(body_bytes),
                counter=new_counter,
                key=following if is_offered_before else today,
                next_key=offer if rotation is Rotation.OFFERED else b"",
            ),
        }
        self.before = Security(OLD_COUNTER, public(today), offer if is_offered_before else NO_KEY)
        self.after = Security(new_counter, offer if is_offered_before else public(today), offer if rotation is Rotation.OFFERED else NO_KEY)
        memory = bytearray(FLASH_BYTES)
        memory[COUNTERS[0] : COUNTERS[1] + COUNTER_BYTES] = b"\xff" * (2 * COUNTER_BYTES)
        self._put(memory, self.old, self.images[self.old])
        # What an earlier version left, with all that could mislead.
        self._put(memory, self.new, make_image(self.new, (0, 9, 0, 0), body(body_bytes + 1000), counter=OLD_COUNTER))
        self._trailer(memory, self.old, 7)
        self._trailer(memory, self.new, 6)
        memory[:IDENTITY_BYTES] = Identity(bytes(range(16)), bytes(32)).encode()
        self._base = bytes(memory)
        self.flash.open(self._base)
        self.flash.c.tyf_host_flash_cut(0, 0)
        assert self._boot() == self.old, "the first start"
        assert self.flash.c.tyf_boot_confirm() == Status.OK
        self._base = self.flash.memory.raw
        assert security_in(self.flash) == self.before
        self._forget()

    def _build(self, folder: Path, firmware: Path | None) -> FlashLibrary:
        return build_boot(folder, firmware)

    def _forget(self) -> None:
        self.is_asked_for = self.is_requested = self.is_confirming = self.is_confirmed = False
        self.problems: list[str] = []
        self.tries = 0
        self.security = self.before

    @staticmethod
    def _put(memory: bytearray, slot: int, image: bytes) -> None:
        memory[SLOTS[slot] : SLOTS[slot] + SLOT_BYTES] = image.ljust(SLOT_BYTES, b"\xff")

    @staticmethod
    def _trailer(memory: bytearray, slot: int, order: int) -> None:
        end = SLOTS[slot] + SLOT_BYTES
        memory[end - PAGE_BYTES : end] = confirmed_trailer(order)

    def _boot(self) -> int | None:
        """The bootloader; the slot that runs now, None when the power went off in it."""
        slot = ctypes.c_uint32(99)
        status = self.flash.c.tyf_boot_choose(ctypes.byref(slot))
        if not self.flash.is_on():
            return None
        assert status == Status.OK, f"the board is a brick: {Status(status)}"
        return slot.value if self._run_image(slot.value) else None

    def _run_image(self, slot: int) -> bool:
        """Let the image of a slot run; whether the power is still on then."""
        self.flash.c.tyf_host_run_image(SLOTS[slot] + wire.FIRMWARE_HEADER_BYTES)
        return self.flash.is_on()

    def _flag(self, from_end: int) -> bytes:
        """Of the new image's trailer."""
        return self.flash.read(SLOTS[self.new] + SLOT_BYTES - from_end, wire.TRAILER_FLAG_BYTES)

    def _must_run_new(self) -> bool:
        """By the bytes: it was asked for, and is not marked as tried."""
        return self.is_confirmed or (self.is_requested and self._flag(wire.TRAILER_TRIED_FROM_END) == NOT_SET)

    def _start(self) -> tuple[int | None, list[str]]:
        """Start the board and look at what runs; None when the power went off again."""
        must_run_new, wrong = self._must_run_new(), self._security()
        slot = self._boot()
        if slot is None:
            return None, wrong
        image = self.images[slot]
        if self.flash.read(SLOTS[slot], len(image)) != image:
            wrong.append(f"slot {slot} runs and is not byte by byte the image that was signed for it")
        if slot == self.new:
            self.tries += 1
            if not self.is_asked_for:
                wrong.append("the new image runs and nobody asked for it")
            if self.tries > 1 and not self.is_confirming:
                wrong.append("an image that was not confirmed runs a second time")
        elif must_run_new:
            wrong.append("the old image runs after the new one was confirmed, or asked for and not yet tried")
        wrong += self._security()
        if slot == self.new and self._flag(wire.TRAILER_CONFIRMED_FROM_END) == SET and self.security != self.after:
            wrong.append(f"the new image is confirmed, was started again, and the security log says {self.security}")
        if slot == self.old:
            self.is_confirming = False
            if self.security != self.before:
                wrong.append(f"the old image runs with what is to be after it: {self.security}")
        return slot, wrong

    def _security(self) -> list[str]:
        now = security_in(self.flash)
        wrong = []
        if now not in (self.before, self.after):
            wrong.append(f"the security log says {now}, which nothing that was confirmed asks for")
        if now != self.after and self.security == self.after:
            wrong.append(f"the security log went back from {self.security} to {now}")
        differing = int.from_bytes(self._flag(wire.TRAILER_CONFIRMED_FROM_END), "little") ^ int.from_bytes(SET, "little")
        if now != self.before and differing.bit_count() > 1:  # One bit may be wrong.
            wrong.append(f"the security log says {now} and the image that asks for it is not confirmed")
        self.security = now if self.security == self.before else self.security
        return wrong

    def begin(self) -> None:
        """See :class:`Flow`."""
        self.flash.open(self._base)
        self._forget()
        self._run_image(self.old)

    def _must(self, status: int) -> bool:
        """Whether power is still on; then the status is good."""
        assert status == Status.OK or not self.flash.is_on(), Status(status)
        return self.flash.is_on()

    def _upload(self) -> bool:
        c, image = self.flash.c, self.images[self.new]
        for at in range(0, len(image), CHUNK_BYTES):
            chunk = image[at : at + CHUNK_BYTES]
            first = -(-at // PAGE_BYTES)
            for page in range(first, (at + len(chunk) - 1) // PAGE_BYTES + 1):
                if not self._must(c.tyf_boot_erase(self.new, page * PAGE_BYTES)):
                    return False
            if not self._must(c.tyf_boot_program(self.new, at, chunk, len(chunk))):
                return False
        return True

    def _mark_test(self) -> int:
        return int(self.flash.c.tyf_boot_mark_test(self.new))

    def _confirm(self) -> int:
        return int(self.flash.c.tyf_boot_confirm())

    def _touch_what_is_needed(self, *slots: int) -> None:
        """Ask for the erasure of slots that must not be written: the one that runs, or the way back from one that is not confirmed."""
        before = self.flash.operations()
        for slot in slots:
            if self.flash.c.tyf_boot_erase(slot, 0) != Status.ERR_STATE or self.flash.operations() != before:
                self.problems.append(f"slot {slot} could be erased while it was needed")

    def run(self) -> None:
        """See :class:`Flow`: upload, ask for it, reset, and confirm or reset again."""
        self.problems = []
        active = self.flash.c.tyf_boot_active()
        if active == self.old and not (self.tries and not self.confirm):
            # After a test that was cut before its confirmation the host begins again.
            self.tries = 0
            self.is_requested = self.is_asked_for = False
            self._touch_what_is_needed(self.old)
            if not self._upload():
                return
            self.is_asked_for = True
            if not self._must(self._mark_test()):
                return
            self.is_requested = True
            active, wrong = self._start()
            self.problems += wrong
            if active is None:
                return
            assert active == self.new, "the new image does not run"
            self._touch_what_is_needed(0, 1)
        if active == self.new and self.confirm:
            self.is_confirming = True
            if not self._must(self._confirm()):
                return
            self.is_confirmed = True
        _, wrong = self._start()
        self.problems += wrong

    def verify(self) -> list[str]:
        """See :class:`Flow`."""
        _, wrong = self._start()
        return wrong

    def verify_done(self) -> list[str]:
        """See :class:`Flow`."""
        wrong = list(self.problems)
        for _ in range(2):
            slot, more = self._start()
            wrong += more
            if slot != (self.new if self.confirm else self.old):
                wrong.append(f"slot {slot} runs at the end")
        if self.security != (self.after if self.confirm else self.before):
            wrong.append(f"the security log says {self.security} at the end")
        if self.confirm and self.before.key != self.after.key and self.flash.c.tyf_boot_mark_test(self.old) != Status.ERR_SIGNATURE:
            wrong.append("what the old key signed may run again")
        return wrong


class ManagedUpdateFlow(UpdateFlow):
    """The same through the whole board: frames of SMP in, an upload, a test mark, a confirmation, as clients send them."""

    def __init__(self, folder: Path, *, confirm: bool, mutants: tuple[Mutant, ...] = ()) -> None:
        self._mutants = mutants
        super().__init__(folder, confirm=confirm)
        self.name = f"firmware update over SMP, {'confirmed' if confirm else 'reverted'}"

    def _build(self, folder: Path, firmware: Path | None) -> FlashLibrary:
        self.host = HostBoard(build_host_board(folder, self._mutants))
        return self.host

    def _run_image(self, slot: int) -> bool:
        super()._run_image(slot)
        self.host.power_on()
        return self.host.is_on()

    def _ask(self, command: int, body: dict[str, object]) -> dict[str, Any] | None:
        """The reply to a write of the group image; None when the power went off instead."""
        reply = self.host.command(WRITE, SmpGroup.IMAGE, command, body)
        if not self.host.is_on():
            return None
        assert reply is not None and "err" not in reply and "rc" not in reply, reply
        return reply

    def _upload(self) -> bool:
        image = self.images[self.new]
        at = 0
        for _ in range(100):
            first = {"len": len(image), "sha": hashlib.sha256(image).digest()} if at == 0 else {}
            reply = self._ask(UPLOAD, {"off": at, "data": image[at : at + CHUNK_BYTES], **first})
            if reply is None:
                return False
            at = reply["off"]
            if at == len(image):
                return True
        raise AssertionError(f"the upload does not get beyond {at}")

    def _mark_test(self) -> int:
        return Status.OK if self._ask(STATE, {"hash": image_digest(self.images[self.new])}) else Status.ERR_FLASH

    def _confirm(self) -> int:
        return Status.OK if self._ask(STATE, {"confirm": True}) else Status.ERR_FLASH


class CounterFlow(Flow):
    """The security counter is raised, one by one, over the ends of both logs."""

    name = "security counter"
    RAISES = 8

    def __init__(self, folder: Path, firmware: Path | None = None) -> None:
        self.flash = build_boot(folder, firmware)
        self.flash.open(b"\xff" * COUNTERS[1] + b"\xff" * COUNTER_BYTES)
        self.first = 47  # An area has room for 51 records.
        for counter in range(1, self.first + 1):
            assert self._write(counter) == Status.OK
        self._base = self.flash.memory.raw
        self.promised = self.first
        self.pending: int | None = None

    def _write(self, counter: int) -> int:
        security = SecurityStruct()
        self.flash.c.tyf_security_read(ctypes.byref(security))
        security.counter = counter
        return int(self.flash.c.tyf_security_write(ctypes.byref(security)))

    def begin(self) -> None:
        """See :class:`Flow`."""
        self.flash.open(self._base)
        self.promised, self.pending = self.first, None

    def run(self) -> None:
        """See :class:`Flow`."""
        for counter in range(self.promised + 1, self.first + self.RAISES + 1):
            self.pending = counter
            status = self._write(counter)
            if not self.flash.is_on():
                return
            assert status == Status.OK, Status(status)
            self.promised, self.pending = counter, None

    def verify(self) -> list[str]:
        """See :class:`Flow`."""
        now = security_in(self.flash).counter
        security = SecurityStruct()
        self.flash.c.tyf_security_read(ctypes.byref(security))
        wrong = [] if security.counter == now else [f"the board says {security.counter}, its flash {now}"]
        if now not in (self.promised, self.pending):
            wrong.append(f"the counter is {now}; promised {self.promised}, pending {self.pending}")
        self.promised, self.pending = now, None
        return wrong

    def verify_done(self) -> list[str]:
        """See :class:`Flow`."""
        wrong = self.verify()
        if self.promised != self.first + self.RAISES:
            wrong.append(f"the counter is {self.promised} at the end")
        return wrong
