"""A board in an air where things go wrong: what is done over it, and what must be right all the same."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.support.model_board import answer, some_input
from tests.support.model_swap import good_package
from tests.support.small_models import CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, dense_package
from tinyfleet.device import Device, open_device
from tinyfleet.device_keys import new_key
from tinyfleet.device_models import TestPolicy
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.emulator.air import AirFaults, ThreadedAir
from tinyfleet.image import ImageFacts, read_image, sign_firmware, write_factory_slot
from tinyfleet.model_package import read_package
from tinyfleet.ota import confirm_firmware, push_firmware, try_firmware
from tinyfleet.platformio_build import SignedBuild
from tinyfleet.signing_keys import SigningKeys
from tinyfleet_codegen.errors import TinyfleetError
from tinyfleet_codegen.wire.record import decode_record

TIMEOUT_S = 12.0
FLOW_S = 180.0
"""No flow takes so long: a request has its deadline, and there are few."""
MOST_ATTEMPTS = 4
"""Under faults; then without any, where it must succeed."""
WINDOWS = 40
"""Records that one flow makes."""
RECORDS_A_PULL = 16
MODELS = dense_package("a", 2), dense_package("b", 3)


@dataclass
class AirSite:
    """A board in the air, which is also on a wire where nothing goes wrong."""

    board_id: str
    air: ThreadedAir
    board: EmulatedBoard
    folder: Path
    keys: SigningKeys
    signed: SignedBuild
    version: int = 1
    stream: int = 0
    pulled: dict[int, list[bytes]] = field(default_factory=dict)
    """By boot: the records that were pulled over the air, each page once it was whole."""
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"ble://{self.board.device_id.hex()}?air={self.air.address}"

    @asynccontextmanager
    async def on_the_wire(self) -> AsyncIterator[Device]:
        async with open_device(self.board.url, timeout_s=20.0) as device:
            yield device

    async def survive(self, flow: Flow, faults: AirFaults) -> list[str]:
        """Do it under faults, again and again, in the end without; what was wrong.

        Errors of ours are what faults may cause. Everything else is wrong: another exception, a flow without an end, a bad result.
        """
        self.air.faults = faults
        try:
            for attempt in range(MOST_ATTEMPTS + 1):
                if attempt == MOST_ATTEMPTS:
                    self.air.faults = AirFaults()
                try:
                    async with asyncio.timeout(FLOW_S):
                        async with open_device(self.url, timeout_s=TIMEOUT_S) as device:
                            await flow(self, device)
                    return []
                except TinyfleetError as error:
                    self.errors[type(error).__name__] += 1
                    if attempt == MOST_ATTEMPTS:
                        return [f"{flow.__name__}: fails without faults after {faults}: {type(error).__name__}: {error}"]
                except TimeoutError:
                    return [f"{flow.__name__}: no end within {FLOW_S:g} s under {faults}"]
                except AssertionError as error:
                    return [f"{flow.__name__}: wrong under {faults}: {error}"]
                except Exception as error:
                    return [f"{flow.__name__}: {type(error).__name__} under {faults}: {error}"]
        finally:
            self.air.faults = AirFaults()
        raise AssertionError("not reached")


Flow = Callable[[AirSite, Device], Awaitable[None]]


@contextmanager
def air_site(board_id: str, signed: SignedBuild, keys: SigningKeys, air: ThreadedAir, folder: Path) -> Iterator[AirSite]:
    """A board from the factory with a key; the caller's environment says where this host's keys are."""
    nvm = folder / "board.nvm"
    create_nvm(nvm, board_id)
    write_factory_slot(nvm, board_id, _image(board_id, signed, keys, folder, 0, "1.0.0").read_bytes())
    with EmulatedBoard.start(board_id, signed.bootloader.elf, nvm, air=air.address) as board:
        site = AirSite(board_id, air, board, folder, keys, signed)

        async def provision() -> None:
            async with site.on_the_wire() as device:
                with new_key(board.device_id) as key:
                    await device.provision(key)

        asyncio.run(provision())
        yield site


def _image(board_id: str, signed: SignedBuild, keys: SigningKeys, folder: Path, slot: int, version: str) -> Path:
    path = folder / f"sensor.slot{slot}.bin"
    sign_firmware(signed.programs[slot].image, path, ImageFacts(board_id, slot, version), keys.firmware)
    return path


async def firmware_update(site: AirSite, device: Device) -> None:
    """Push, test, confirm: the very image runs and is kept."""
    site.version += 1
    version = f"{site.version}.0.0"
    for slot in (0, 1):
        _image(site.board_id, site.signed, site.keys, site.folder, slot, version)
    pushed = await push_firmware(device, site.folder)
    await try_firmware(device, pushed.hash)
    await confirm_firmware(device)
    async with site.on_the_wire() as wired:
        (running,) = [image for image in await wired.images() if image.is_active]
        assert (running.hash, running.is_confirmed) == (read_image(pushed.path.read_bytes()).digest, True), running


async def model_swap(site: AirSite, device: Device) -> None:
    """Push, prove, confirm the model that is not live; the board computes what the host does."""
    live = (await device.models.list()).live_digest
    packages = [good_package(model, site.board_id, site.keys.model) for model in MODELS]
    index = 1 if live == read_package(packages[0]).digest else 0
    await device.models.push(packages[index])
    await device.models.test(TestPolicy(budget_ms=20))
    await device.models.wait()
    await device.models.confirm(read_package(packages[index]).digest)
    async with site.on_the_wire() as wired:
        assert (await wired.models.list()).live_digest == read_package(packages[index]).digest
        assert await wired.infer(some_input(1)) == answer(good_package(MODELS[index], "host", site.keys.model), some_input(1))


async def records(site: AirSite, device: Device) -> None:
    """Records are made, and pulled over the air by cursor: each once, and as the wire has it."""
    async with site.on_the_wire() as wired:
        site.stream += 1
        samples = np.random.default_rng(site.stream).integers(-800, 800, (WINDOW_SAMPLES + (WINDOWS - 1) * HOP_SAMPLES, CHANNELS))
        await wired.replay(site.stream, samples.astype(np.int16))
        boot_id, since, true = (await wired.hello()).boot_id, 0, []
        while (page := await wired.results(since, RECORDS_A_PULL)).records:
            true += page.records
            since = page.next
    pulled = site.pulled.setdefault(boot_id, [])
    while (page := await device.results(len(pulled), RECORDS_A_PULL)).records:
        assert page.boot_id == boot_id and page.lost == 0
        pulled += page.records
    assert [decode_record(record).seq for record in pulled] == list(range(len(true)))
    assert pulled == true


async def questions(site: AirSite, device: Device) -> None:
    """Echoes of all sizes, a setting, inferences by seed: as asked, and as the wire says."""
    for size in (0, 20, 300, 2000):
        text = f"{site.stream} " + "x" * size
        assert await device.echo(text) == text
    await device.write_setting("place", str(site.stream).encode())
    hashes = await device.self_infer(site.stream, 0, 30)
    async with site.on_the_wire() as wired:
        assert await wired.read_setting("place") == str(site.stream).encode()
        assert await wired.self_infer(site.stream, 0, 30) == hashes


FLOWS: tuple[Flow, ...] = (firmware_update, model_swap, records, questions)


def _bytes(chance: random.Random) -> int:
    """Some at once, some late: as many between 50 and 500 as between 5,000 and 50,000."""
    return round(50 * 1000 ** chance.random())


def some_faults(chance: random.Random) -> AirFaults:
    """One or two things that go wrong."""
    kinds: tuple[Callable[[AirFaults], None], ...] = (
        lambda faults: setattr(faults, "link_loss_after_bytes", [_bytes(chance) for _ in range(chance.randint(1, 8))]),
        lambda faults: setattr(faults, "silence_after_bytes", [_bytes(chance) for _ in range(chance.randint(1, 2))]),
        lambda faults: setattr(faults, "drop", chance.choice([0.001, 0.003, 0.01])),
        lambda faults: setattr(faults, "duplicate", chance.choice([0.001, 0.003, 0.01])),
        lambda faults: setattr(faults, "late", chance.choice([0.001, 0.003, 0.01])),
        lambda faults: setattr(faults, "delay_ms", chance.choice([1, 10, 50])),
        lambda faults: setattr(faults, "jitter_ms", chance.choice([1, 10])),
        lambda faults: setattr(faults, "credit_delay_ms", chance.choice([1, 10])),
        lambda faults: setattr(faults, "credits", chance.choice([1, 2])),
        lambda faults: setattr(faults, "acl_bytes", chance.choice([27, 60])),
        lambda faults: setattr(faults, "att_mtu", chance.choice([23, 50, 185])),
        lambda faults: setattr(faults, "drop_advertisements", 0.7),
    )
    faults = AirFaults(seed=chance.randrange(2**31))
    for kind in chance.sample(kinds, chance.randint(1, 2)):
        kind(faults)
    return faults
