"""What the bootloader starts: requests, confirmations, reverts, the security log; whatever operation a power cut ends."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.boot_slots import (
    FLOWS,
    NEW,
    OLD,
    BootDevice,
    Flow,
    build_boot_library,
    cut,
    every_cut,
    factory_memory,
    image,
    operations_of,
    random_pairs,
)
from tests.support.flash_library import TORN
from tests.support.images import SLOT_ADDRESSES, Sketch, firmware_body, firmware_entries, key, public
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.image import ImageTlv

SEED = 11
STRIDE = 97
"""Of the hundreds of equal operations of an upload; ``./run powercut`` cuts each of them."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boot")


@pytest.fixture(scope="module")
def library(folder: Path) -> Path:
    return build_boot_library(folder)


@pytest.fixture
def device(library: Path) -> BootDevice:
    found = BootDevice(library)
    found.open(factory_memory(OLD))
    assert found.start() == 0
    return found


def test_an_update_is_tried_once_then_kept_or_left(device: BootDevice) -> None:
    assert device.upload(1, NEW) == Status.OK
    assert device.start() == 0, "nobody asked for it"
    assert device.mark_test(1) == Status.OK
    assert device.mark_test(1) == Status.OK, "asking twice is asking once"
    assert [device.start() for _ in range(3)] == [1, 0, 0]
    assert device.mark_test(1) == Status.OK
    assert device.start() == 1
    assert device.security().counter == 1
    assert device.confirm() == Status.OK
    assert device.confirm() == Status.OK
    assert device.security().counter == 2
    assert [device.start() for _ in range(3)] == [1, 1, 1]
    assert device.c.tyf_host_flash_violations() == 0


def test_two_updates_in_a_row_and_back_without_an_upload(device: BootDevice) -> None:
    for slot, data in ((1, image(1, 2)), (0, image(0, 3)), (1, image(1, 1))):
        assert device.upload(slot, data) == Status.OK
        assert device.mark_test(slot) == Status.OK
        assert device.start() == slot
        assert device.confirm() == Status.OK
        assert device.start() == slot, "an older version that was confirmed last stays"
    assert device.mark_test(0) == Status.OK
    assert [device.start(), device.start()] == [0, 1]
    assert device.mark_test(0) == Status.OK
    assert device.start() == 0
    assert device.confirm() == Status.OK
    assert device.start() == 0


def test_what_runs_and_what_is_its_way_back_are_never_written(device: BootDevice) -> None:
    assert device.erase(0, 0) == Status.ERR_STATE
    assert device.program(0, 0, b"x") == Status.ERR_STATE
    assert device.mark_test(0) == Status.ERR_STATE
    assert device.upload(1, NEW) == Status.OK
    assert device.mark_test(1) == Status.OK
    assert device.program(1, 8192, b"x") == Status.ERR_STATE, "it is asked for"
    assert device.start() == 1
    assert device.erase(0, 0) == Status.ERR_STATE, "the way back of an image that is not confirmed"
    assert device.mark_test(0) == Status.ERR_STATE
    assert device.confirm() == Status.OK
    assert device.erase(0, 0) == Status.OK
    device.run_slot(None)
    assert device.erase(0, 0) == Status.ERR_STATE
    assert device.confirm() == Status.ERR_STATE
    for slot, offset in ((2, 0), (1, 1), (1, 0x100000)):
        assert device.erase(slot, offset) == Status.ERR_ARG
    assert device.program(1, 0x100000 - 4096, b"x") == Status.ERR_ARG, "the trailer's page"
    assert device.holds(1, NEW)


def test_what_is_not_good_is_not_taken(device: BootDevice) -> None:
    assert device.mark_test(1) == Status.ERR_FORMAT
    for data, status in (
        (image(1, 2)[:-70], Status.ERR_FORMAT),
        (image(1, 2)[:-1], Status.ERR_SIGNATURE),
        (Sketch(slot=1, signer=key("somebody")).build(), Status.ERR_SIGNATURE),
        (Sketch(slot=1, signer=key("model")).build(), Status.ERR_SIGNATURE),
        (image(0, 2), Status.ERR_TARGET),
    ):
        assert device.upload(1, data) == Status.OK
        assert device.mark_test(1) == status
        assert device.start() == 0


def test_bits_that_change_at_rest_start_nothing_else(device: BootDevice) -> None:
    """P6: in the image, in its trailer and in the security log, 100 bits each."""
    rng = random.Random(SEED)
    assert device.upload(1, NEW) == Status.OK
    assert device.mark_test(1) == Status.OK
    assert device.start() == 1 and device.confirm() == Status.OK
    whole = device.memory.raw

    def start_with_error(bit: int) -> int | None:
        memory = bytearray(whole)
        memory[bit // 8] ^= 1 << bit % 8
        device.open(bytes(memory))
        slot = device.start()
        assert device.security().counter == 2
        return slot

    begin, trailer_end = 8 * SLOT_ADDRESSES[1], 8 * (SLOT_ADDRESSES[1] + 0x100000)
    # The old image has a lower counter than what was confirmed: rather nothing than that, or than other bytes.
    assert {start_with_error(begin + rng.randrange(8 * len(NEW))) for _ in range(100)} == {None}
    assert {start_with_error(trailer_end - 1 - bit) for bit in range(8 * 32)} == {1}
    assert {start_with_error(trailer_end - 8 * 4096 + bit) for bit in range(8 * 16)} == {1}
    assert {start_with_error(8 * 0xC000 + rng.randrange(8 * 0x2000)) for _ in range(50)} == {1}
    assert {start_with_error(8 * 0xC000 + bit) for bit in rng.sample(range(8 * 160), 50)} == {1}


def test_the_security_log_survives_its_pages(device: BootDevice) -> None:
    for expected in range(1, 160):
        security = device.security()
        assert security.counter == expected - 1 if expected > 1 else security.counter in (0, 1)
        security.counter = expected
        assert device.write_security(security) == Status.OK
        assert device.security().sequence == security.sequence
    security.counter = 3
    assert device.write_security(security) == Status.ERR_ARG, "it never goes back"
    assert device.security().counter == 159
    assert device.c.tyf_host_flash_violations() == 0


def rotation(slot: int, version: int, signer: str, following: str | None = None) -> bytes:
    entries = firmware_entries(1)
    if following is not None:
        entries[ImageTlv.NEXT_KEY] = public(key(following))
    body = firmware_body(SLOT_ADDRESSES[slot], seed=version)
    return Sketch(slot=slot, version=(version, 0, 0, 0), body=body, protected=entries, signer=key(signer)).build()


def install(device: BootDevice, slot: int, data: bytes) -> Status:
    assert device.upload(slot, data) == Status.OK
    status = device.mark_test(slot)
    if status == Status.OK:
        assert device.start() == slot
        assert device.confirm() == Status.OK
        assert device.start() == slot
    return status


def test_the_firmware_key_is_rotated_by_an_image_of_the_old_key(device: BootDevice) -> None:
    assert install(device, 1, rotation(1, 2, "second")) == Status.ERR_SIGNATURE
    assert install(device, 1, rotation(1, 2, "firmware", "second")) == Status.OK
    # Both sign now, until the new one has.
    assert install(device, 0, rotation(0, 3, "firmware")) == Status.OK
    assert install(device, 1, rotation(1, 4, "second")) == Status.OK
    assert install(device, 0, rotation(0, 5, "firmware")) == Status.ERR_SIGNATURE, "a revoked key"
    assert install(device, 0, rotation(0, 6, "second", "third")) == Status.OK
    assert install(device, 1, rotation(1, 7, "third")) == Status.OK
    assert install(device, 0, rotation(0, 8, "second")) == Status.ERR_SIGNATURE
    assert bytes(device.security().key) == public(key("third"))


def test_a_rotation_takes_no_key_that_is_none_and_nothing_of_an_unconfirmed_image(device: BootDevice) -> None:
    assert device.upload(1, rotation(1, 2, "firmware", "second")) == Status.OK
    assert device.mark_test(1) == Status.OK
    assert [device.start(), device.start()] == [1, 0]
    assert install(device, 1, rotation(1, 2, "second")) == Status.ERR_SIGNATURE
    entries = firmware_entries(1) | {int(ImageTlv.NEXT_KEY): bytes(32)}
    assert install(device, 1, Sketch(slot=1, protected=entries).build()) == Status.OK
    assert bytes(device.security().next_key) == b"\xff" * 32


def sweep(device: BootDevice, flow: Flow, stride: int, pairs: int = 0) -> tuple[int, list[str]]:
    """Cut a flow everywhere: how many cuts, and what was wrong."""
    operations = operations_of(device, flow)
    count, wrong = 0, []
    for operation, how in every_cut(operations, stride):
        seeds = (0, SEED + operation) if how == TORN else (0,)
        for seed in seeds:
            count += 1
            found = cut(device, flow, operation, how, seed=seed)
            wrong += [f"{flow.name}, operation {operation} of {operations}, cut {how}, seed {seed}: {text}" for text in found]
    for operation, how, second, seed in random_pairs(operations, pairs, SEED):
        count += 2
        found = cut(device, flow, operation, how, seed=seed, second=second)
        wrong += [f"{flow.name}, operation {operation} and {second} more, seed {seed}: {text}" for text in found]
    return count, wrong


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_no_power_cut_bricks_or_starts_what_nobody_asked_for(device: BootDevice, flow: Flow) -> None:
    count, wrong = sweep(device, flow, STRIDE, pairs=30)
    print(f"{flow.name}: {count} cuts")
    assert wrong == [], wrong[:5]
