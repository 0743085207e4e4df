"""Models are swapped on a board that its bootloader started: they outlast updates of the firmware and resets through the bootloader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from hil_tests.conftest import Updatable
from tests.support.model_board import answer, some_input
from tests.support.model_swap import TRIGGER, Bad, good_package, with_bad_kernel
from tests.support.slots import slots_in_file
from tests.support.small_models import CHANNELS, WINDOW_SAMPLES, dense_package
from tinyfleet.device import Device, open_device
from tinyfleet.device_models import TestPolicy
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.event_log import event_text
from tinyfleet.image import write_factory_slot
from tinyfleet.model_package import read_package
from tinyfleet.ota import confirm_firmware
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.wire.ids import ModelPhase, ModelPlace, Status

BOARD = "mps2_an386"
A, B = dense_package("a", 2), dense_package("b", 3)
BUDGET_MS = 20


@pytest.fixture
def nvm(updatable: Updatable, tmp_path: Path) -> Path:
    """As the board leaves the factory, with version 1.0.0 in slot 0."""
    path = tmp_path / "board.nvm"
    create_nvm(path, BOARD)
    write_factory_slot(path, BOARD, updatable.image(0, "1.0.0"))
    return path


@asynccontextmanager
async def running(updatable: Updatable, nvm: Path) -> AsyncIterator[Device]:
    with EmulatedBoard.start(BOARD, updatable.signed.bootloader.elf, nvm) as board:
        async with open_device(board.url, timeout_s=10.0) as device:
            yield device


async def make_live(device: Device, package: bytes) -> None:
    await device.models.push(package)
    await device.models.test(TestPolicy(budget_ms=BUDGET_MS))
    await device.models.wait()
    await device.models.confirm(read_package(package).digest)


async def active(device: Device) -> str:
    (image,) = [image for image in await device.images() if image.is_active]
    return image.version


async def test_a_model_outlasts_firmware_updates(updatable: Updatable, nvm: Path) -> None:
    package, x = good_package(A, BOARD, updatable.keys.model), some_input(1)
    expected = answer(good_package(A, "host", updatable.keys.model), x)
    async with running(updatable, nvm) as device:
        assert (await device.models.list()).live is ModelPlace.BUILT_IN
        await make_live(device, package)
        assert await device.infer(x) == expected

    async def require(device: Device, version: str) -> None:
        assert await active(device) == version
        assert (await device.models.list()).live is ModelPlace.SLOT_0
        assert await device.infer(x) == expected

    # Confirmed, and then one that is not, so that the next start goes back.
    for version, slot in (("2.0.0", 1), ("3.0.0", 0)):
        with slots_in_file(nvm, BOARD) as slots:
            slots.put(slot, updatable.image(slot, version))
            slots.put_trailer(slot, order=int(version[0]))
        async with running(updatable, nvm) as device:
            await require(device, version)
            if slot == 1:
                await confirm_firmware(device)
    async with running(updatable, nvm) as device:
        await require(device, "2.0.0")
        # What the new firmware finds it can also give back.
        await device.models.revert()
        assert (await device.models.list()).live is ModelPlace.BUILT_IN and await device.infer(x) != expected


async def test_a_live_model_that_goes_bad_gives_its_place_back_through_the_bootloader(updatable: Updatable, nvm: Path) -> None:
    good = good_package(A, BOARD, updatable.keys.model)
    traitor = with_bad_kernel(
        good_package(B, BOARD, updatable.keys.model), load_target(BOARD).cpu_class, Bad.FAULT_AT_TRIGGER, updatable.keys.model
    )
    samples = np.zeros((WINDOW_SAMPLES, CHANNELS), np.int16)
    samples[0, 0] = (TRIGGER - 5) * 5  # gain 0.01, scale 0.05, zero point 5
    async with running(updatable, nvm) as device:
        await make_live(device, good)
        await make_live(device, traitor)
        boot = (await device.hello()).boot_id
        await device.replay(1, samples)
        assert (await device.hello()).boot_id == boot + 1, "a reset through the bootloader"
        assert await active(device) == "1.0.0", "which is no reason to go back to another firmware"
        models = await device.models.list()
        assert (models.live, models.generation, models.reverts) == (ModelPlace.SLOT_0, 2, 1)
        assert (models.slots[1].phase, models.slots[1].status) == (ModelPhase.REFUSED, Status.ERR_FAULT)
        crash = await device.crash()
        assert crash is not None and (crash.model_generation, crash.model_id) == (3, B.model_id)
        # The log of events lies in RAM that the bootloader leaves alone.
        texts = [event_text(event) for event in await device.events()]
        assert texts[0] == "boot after power on" and "model_confirm over wire: ok" in texts
        assert texts[-3:] == [
            "boot after crash (assert), 1 resets since power-on",
            "model in slot 0 live, generation 2",
            "model in slot 1 refused: ERR_FAULT",
        ], texts
