"""``lib/boot`` over the host's flash, as a device that is updated: uploads, requests, starts, and cuts of its power."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.support.flash_library import AFTER, BEFORE, TORN, FlashLibrary, build_flash_library
from tests.support.images import SLOT_ADDRESSES, Sketch, firmware_body, firmware_entries, keys_header
from tests.support.slots import Slots
from tinyfleet.image import factory_slot
from tinyfleet.link.memory import NVM_BYTES
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire import image as wire
from tinyfleet_codegen.wire.ids import Status

PAGE, SLOT_BYTES = 4096, 0x100000
CHUNK = 512
NO_SLOT = 2**32 - 1


class Security(ctypes.Structure):
    """``tyf_security``."""

    _fields_ = (
        ("sequence", ctypes.c_uint32),
        ("counter", ctypes.c_uint32),
        ("key", ctypes.c_uint8 * 32),
        ("next_key", ctypes.c_uint8 * 32),
    )


def build_boot_library(folder: Path, firmware: Path | None = None) -> Path:
    """Compile it, with the tests' keys; ``firmware``: a broken copy of the tree."""
    (folder / "tyf_keys.h").write_text(keys_header())
    return build_flash_library(
        folder,
        libraries=("boot", "crypto", "flash_map"),
        firmware=firmware,
        sources=[(firmware or firmware_dir()) / "boards/host/image.c"],
        includes=[folder],
        crypto=True,
    )


@cache
def image(slot: int, version: int, counter: int = 1, count: int = 5000) -> bytes:
    """A signed image of that major version."""
    body = firmware_body(SLOT_ADDRESSES[slot], count, seed=version)
    return Sketch(slot=slot, version=(version, 0, 0, 0), body=body, protected=firmware_entries(counter)).build()


@cache
def factory_memory(first: bytes) -> bytes:
    """A board's memory with an image in slot 0, confirmed, and zeros where nothing was ever written."""
    memory = bytearray(NVM_BYTES)
    for offset, piece in factory_slot(first, SLOT_BYTES, PAGE).items():
        at = SLOT_ADDRESSES[0] + offset
        memory[at : at + len(piece)] = piece
    return bytes(memory)


class BootDevice(FlashLibrary):
    """A device of one of these libraries.

    Attributes:
        running: The slot that runs; None: the bootloader found nothing to start.
    """

    def __init__(self, library: Path) -> None:
        super().__init__(library)
        self.running: int | None = None

    def power_on(self) -> None:
        """Give it power again; it starts."""
        self.c.tyf_host_flash_power_on()
        self.start()

    def start(self) -> int | None:
        """What the bootloader chooses runs from now on."""
        slot = ctypes.c_uint32(NO_SLOT)
        status = self.c.tyf_boot_choose(ctypes.byref(slot))
        self.running = slot.value if status == Status.OK else None
        self.run_slot(self.running)
        return self.running

    def run_slot(self, slot: int | None) -> None:
        """Run a slot without asking the bootloader; None: a program outside of both."""
        self.c.tyf_host_run_image(0 if slot is None else SLOT_ADDRESSES[slot] + wire.FIRMWARE_HEADER_BYTES)

    def upload(self, slot: int, data: bytes) -> Status:
        """As an SMP upload does: erase page by page, program, chunk by chunk."""
        for at in range(0, len(data), CHUNK):
            if at % PAGE == 0 and (status := self.erase(slot, at)) != Status.OK:
                return status
            chunk = data[at : at + CHUNK]
            if (status := self.program(slot, at, chunk)) != Status.OK:
                return status
        return Status.OK

    def erase(self, slot: int, offset: int) -> Status:
        """``tyf_boot_erase``."""
        return Status(self.c.tyf_boot_erase(slot, offset))

    def program(self, slot: int, offset: int, data: bytes) -> Status:
        """``tyf_boot_program``."""
        return Status(self.c.tyf_boot_program(slot, offset, data, len(data)))

    def mark_test(self, slot: int) -> Status:
        """``tyf_boot_mark_test``."""
        return Status(self.c.tyf_boot_mark_test(slot))

    def confirm(self) -> Status:
        """``tyf_boot_confirm``."""
        return Status(self.c.tyf_boot_confirm())

    def security(self) -> Security:
        """``tyf_security_read``."""
        found = Security()
        self.c.tyf_security_read(ctypes.byref(found))
        return found

    def write_security(self, security: Security) -> Status:
        """``tyf_security_write``."""
        return Status(self.c.tyf_security_write(ctypes.byref(security)))

    def holds(self, slot: int, data: bytes) -> bool:
        """Whether a slot begins with exactly these bytes."""
        at = SLOT_ADDRESSES[slot]
        return bytes(self.memory[at : at + len(data)]) == data

    def slots(self) -> Slots:
        """A copy of its slots, to look at."""
        return Slots(bytearray(self.memory.raw))


@dataclass
class Progress:
    """How far a flow came before its power failed.

    Attributes:
        done: Steps that returned well.
        doing: The step in which power failed; empty: none.
        least_counter: What the security counter was seen to be.
    """

    done: list[str] = field(default_factory=list)
    doing: str = ""
    least_counter: int = 0


@dataclass(frozen=True)
class Flow:
    """Something that a device does, step by step, and what may run after a cut of its power within a step.

    Attributes:
        memory: Before it.
        images: The bytes that each slot may run.
        steps: Name and action; an action returns whether it did what it should.
        may_run: Step in which power failed -> slots that may run at the next start; "" for after all of them.
    """

    name: str
    memory: bytes
    images: dict[int, bytes]
    steps: tuple[tuple[str, Callable[[BootDevice], bool]], ...]
    may_run: dict[str, set[int]]

    def run(self, device: BootDevice) -> Progress:
        """From the begin; ends where power fails."""
        progress = Progress(least_counter=device.security().counter)
        for name, action in self.steps:
            progress.doing = name
            succeeded = action(device)
            if not device.is_on():
                return progress
            if not succeeded:
                raise AssertionError(f"{self.name}: {name} failed without a cut")
            progress.done.append(name)
            progress.least_counter = device.security().counter
        progress.doing = ""
        return progress


OLD, NEW = image(0, 1, 1), image(1, 2, 2)


def _old_again() -> bytes:
    """Two confirmed images of equal counters, the one in slot 1 running: the one in slot 0 is to be tried once more."""
    memory = bytearray(factory_memory(OLD))
    slots = Slots(memory)
    slots.put(1, image(1, 2, 1))
    slots.put_trailer(1, order=2, is_tried=True, is_confirmed=True)
    return bytes(memory)


BACK_TO_THE_OLD = Flow(
    "back to the old image, without an upload",
    _old_again(),
    {0: OLD, 1: image(1, 2, 1)},
    (
        ("request", lambda d: d.mark_test(0) == Status.OK),
        ("try", lambda d: d.start() == 0),
        ("confirm", lambda d: d.confirm() == Status.OK),
        ("restart", lambda d: d.start() == 0),
    ),
    {"request": {0, 1}, "try": {0, 1}, "confirm": {0, 1}, "restart": {0}, "": {0}},
)


OVER_A_CONFIRMED_IMAGE = Flow(
    "an upload over an image that was confirmed once",
    _old_again(),
    {0: image(0, 3, 1), 1: image(1, 2, 1)},
    (
        ("upload", lambda d: d.upload(0, image(0, 3, 1)) == Status.OK),
        ("request", lambda d: d.mark_test(0) == Status.OK),
        ("try", lambda d: d.start() == 0),
        ("confirm", lambda d: d.confirm() == Status.OK),
    ),
    {"upload": {1}, "request": {0, 1}, "try": {0, 1}, "confirm": {0, 1}, "": {0}},
)


FLOWS = (BACK_TO_THE_OLD, OVER_A_CONFIRMED_IMAGE)
"""Those of tests/support/powercut begin with a board that was never updated; here both slots hold what was confirmed."""


def operations_of(device: BootDevice, flow: Flow) -> int:
    """Flash operations of a flow that nothing interrupts."""
    _begin(device, flow)
    flow.run(device)
    return device.operations()


def _begin(device: BootDevice, flow: Flow) -> None:
    device.open(flow.memory)
    device.start()
    device.cut(0, BEFORE)


def cut(device: BootDevice, flow: Flow, operation: int, how: int, *, seed: int = 0, second: int = 0) -> list[str]:
    """Cut a flow at an operation, and look at what is left; then do it again, which must succeed.

    Args:
        seed: What a torn operation leaves; 0: its first half.
        second: Operation of the start and of the flow after it at which power fails again; 0: none.

    Returns:
        What is wrong.
    """
    _begin(device, flow)
    device.c.tyf_host_flash_tear(seed)
    device.cut(operation, how)
    progress = flow.run(device)
    if device.is_on():
        return ["the cut did not happen"]
    wrong = []
    may_run = flow.may_run[progress.doing]
    if second:
        device.cut(second, TORN)
        device.power_on()
        device.cut(0, BEFORE)
        may_run = may_run | flow.may_run.get("try", set())
    device.cut(0, BEFORE)
    device.power_on()
    wrong += _look(device, flow, may_run, progress.least_counter)
    tried = device.running
    # What ran unconfirmed does not run again; what is confirmed does.
    device.start()
    wrong += _look(device, flow, may_run, progress.least_counter)
    if tried is not None and device.running != tried and device.slots().trailer(tried).is_confirmed:
        wrong.append(f"slot {tried} is confirmed and was left")
    if wrong or flow.may_run[""] == {device.running}:
        return wrong
    try:
        again = flow.run(device)
    except AssertionError as error:
        return [f"after the cut: {error}"]
    if again.doing:
        wrong.append(f"after the cut it ended in {again.doing}")
    return wrong + _look(device, flow, flow.may_run[""], progress.least_counter)


def _look(device: BootDevice, flow: Flow, may_run: set[int], least_counter: int) -> list[str]:
    """The invariants, from the bytes and not from what the device says."""
    if device.running is None:
        return ["nothing starts"]
    wrong = []
    if device.running not in may_run:
        wrong.append(f"slot {device.running} runs, it may be {sorted(may_run)}")
    if not device.holds(device.running, flow.images.get(device.running, b"?")) and not (
        flow is OVER_A_CONFIRMED_IMAGE and device.running == 0 and device.holds(0, OLD)
    ):
        wrong.append(f"slot {device.running} runs what nobody approved")
    if device.security().counter < least_counter:
        wrong.append(f"the counter went back from {least_counter} to {device.security().counter}")
    return wrong


def every_cut(operations: int, stride: int = 1) -> Iterator[tuple[int, int]]:
    """Operations, and how to cut them; with a stride those of the begin and of the end nevertheless."""
    for operation in range(1, operations + 1):
        if operation <= 4 or operation > operations - 12 or operation % stride == 0:
            for how in (BEFORE, TORN, AFTER):
                yield operation, how


def random_pairs(operations: int, count: int, seed: int) -> Iterator[tuple[int, int, int, int]]:
    """First operation, how, second operation and seed of the tears."""
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.randint(1, operations), rng.choice((BEFORE, TORN, AFTER)), rng.randint(1, 12), rng.randint(1, 2**32 - 1)
