"""Models are swapped while a board answers: every input gets exactly one record, with the bits of the model that its generation names."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.model_swap import (
    ARENA_BYTES,
    BUILT_IN,
    Bad,
    good_package,
    swap_model_dir,
    with_bad_kernel,
    with_facts,
    with_wrong_golden,
    write_key,
)
from tests.support.signed_images import firmware_key
from tests.support.small_models import CHANNELS, FRONTEND, HOP_SAMPLES, WINDOW_SAMPLES, dense_package
from tinyfleet.device import Device, open_device
from tinyfleet.device_models import TestPolicy
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.engine import BlobModel
from tinyfleet.model_package import read_package, sign_package
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.errors import DeviceError
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.wire.ids import ModelPhase, ModelPlace
from tinyfleet_codegen.wire.record import Record, decode_record

BOARD = "mps2_an386"
SEED = 2026
A, B = dense_package("a", 2), dense_package("b", 3)
BUDGET_MS = 20
SHADOW = 8


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swap")
    return build_firmware(BOARD, swap_model_dir(folder / "model", BOARD), folder / "firmware").elf


@dataclass(frozen=True)
class Packages:
    """What is pushed: name -> package, model when it is good, and the status with which it is refused else."""

    good: dict[str, tuple[bytes, ModelPackage]]
    bad: dict[str, tuple[bytes, str]]


def make_packages(folder: Path, board: str) -> Packages:
    key = write_key(folder)
    cpu_class = "host" if board == "host" else load_target(board).cpu_class
    a, b = good_package(A, board, key), good_package(B, board, key)
    other = folder / "other"
    other.mkdir()
    bad = {
        "wrong signature": (sign_package(a, write_key(other, firmware_key())), "TYF_ERR_SIGNATURE"),
        "wrong arena": (with_facts(b, key, arena_bytes=ARENA_BYTES * 2), "TYF_ERR_ARENA"),
        "wrong golden": (with_wrong_golden(a, key), "TYF_ERR_GOLDEN"),
        "faulting": (with_bad_kernel(b, cpu_class, Bad.FAULT, key), "TYF_ERR_FAULT"),
        "hanging": (with_bad_kernel(a, cpu_class, Bad.HANG, key), "TYF_ERR_OVERRUN"),
    }
    return Packages({"a": (a, A), "b": (b, B)}, bad)


@dataclass
class Feed:
    """Replays one endless recording and pulls the records of it."""

    device: Device
    samples: npt.NDArray[np.int16]
    fed: int = 0
    next_seq: int = 0

    def __post_init__(self) -> None:
        self.records: list[Record] = []

    @property
    def windows(self) -> int:
        return max(0, (self.fed - WINDOW_SAMPLES) // HOP_SAMPLES + 1)

    async def windows_more(self, count: int) -> None:
        """Feed so many windows and pull their records."""
        while count > 0:
            step = min(count, 200)  # fewer than the ring holds
            end = WINDOW_SAMPLES + HOP_SAMPLES * (self.windows + step - 1)
            await self.device.replay(1, self.samples[self.fed : end], start=self.fed)
            self.fed, count = end, count - step
            pulled = await self.device.results(self.next_seq, 1000)
            while pulled.records:
                assert pulled.lost == 0
                self.records += [decode_record(record) for record in pulled.records]
                self.next_seq = pulled.next
                pulled = await self.device.results(self.next_seq, 1000)


async def swap_among(device: Device, packages: Packages, total: int, attempts: int) -> None:
    """Feed ``total`` windows while ``attempts`` packages are tried, then check every record."""
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    samples = rng.integers(-800, 800, (WINDOW_SAMPLES + HOP_SAMPLES * (total - 1), CHANNELS)).astype(np.int16)
    feed = Feed(device, samples)
    models: dict[int, ModelPackage] = {1: BUILT_IN}
    expected: list[int] = []  # generation of each window
    live, swaps = 1, 0
    bad = list(packages.bad)
    # A good one, then a bad one, and so on.
    order = [bad[i // 2 % len(bad)] if i % 2 else "ab"[i // 2 % 2] for i in range(attempts)]
    share = total // attempts
    for attempt in range(attempts):
        name = order[attempt]
        before = feed.windows
        data, model = packages.good.get(name, (b"", BUILT_IN))
        await device.models.push(data or packages.bad[name][0])
        await feed.windows_more(share // 3)
        shadow = SHADOW if data else 0
        # Two different models seldom agree: what counts here is that it was watched.
        await device.models.test(TestPolicy(budget_ms=BUDGET_MS, shadow=shadow, agree=0))
        if data:
            while (await device.models.list()).free.phase is not ModelPhase.READY:
                await feed.windows_more(1)
            expected += [live] * (feed.windows - before)
            live = await device.models.confirm(read_package(data).digest)
            models[live] = model
            swaps += 1
            before = feed.windows
        else:
            with pytest.raises(DeviceError) as refused:
                await device.models.wait(timeout_s=30)
            assert refused.value.status == packages.bad[name][1], name
        left = total - feed.windows if attempt == attempts - 1 else share * (attempt + 1) - feed.windows
        await feed.windows_more(max(left, 0))
        expected += [live] * (feed.windows - before)
    assert feed.windows == total == len(feed.records)
    assert [record.sample_index for record in feed.records] == [HOP_SAMPLES * i for i in range(total)], "one record each, in order"
    assert [record.model_generation for record in feed.records] == expected
    assert len({record.boot_id for record in feed.records}) == 1, "and no reset"
    check_outputs(feed.records, samples, models)
    print(f"{total} inferences, {attempts} packages, {swaps} swaps")


def check_outputs(records: list[Record], samples: npt.NDArray[np.int16], models: dict[int, ModelPackage]) -> None:
    """Each record holds what the model of its generation computes of its window."""
    for generation, package in models.items():
        host = compile_graph(package, None)
        engine = BlobModel(print_blob(host.graph, host.plan, package, HOST_CLASS))
        mine = [record for record in records if record.model_generation == generation]
        scale, zero_point = host.input.scale, host.input.zero_point
        assert scale is not None and zero_point is not None
        windows = FRONTEND.apply(samples, scale, zero_point)
        outputs = engine.run(windows[[record.sample_index // HOP_SAMPLES for record in mine]])
        assert [record.output for record in mine] == [output.tobytes() for output in outputs], f"generation {generation}"


@pytest.mark.timeout(120)
def test_ten_thousand_inferences_with_twenty_swaps_in_memory(tmp_path: Path) -> None:
    packages = make_packages(tmp_path, "host")
    url = "memory://?" + urlencode({"model": swap_model_dir(tmp_path / "model", "host"), "nvm": tmp_path / "board.nvm"})

    async def run() -> None:
        async with open_device(url, timeout_s=20) as device:
            await swap_among(device, packages, 10_000, 40)

    asyncio.run(run())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("total", "attempts"), [(700, 10), pytest.param(10_000, 40, marks=pytest.mark.full)])
def test_every_input_gets_one_record_while_models_are_swapped(elf: Path, tmp_path: Path, total: int, attempts: int) -> None:
    packages = make_packages(tmp_path, BOARD)

    async def run(url: str) -> None:
        async with open_device(url, timeout_s=30) as device:
            await swap_among(device, packages, total, attempts)

    with EmulatedBoard.start(BOARD, elf, tmp_path / "board.nvm") as board:
        asyncio.run(run(board.url))
    # Whatever was tried, the last good one is live after a restart.
    with EmulatedBoard.start(BOARD, elf, tmp_path / "board.nvm") as board:

        async def look() -> None:
            async with open_device(board.url, timeout_s=30) as device:
                assert (await device.model_info()).name in ("a", "b")
                assert (await device.models.list()).live is not ModelPlace.BUILT_IN

        asyncio.run(look())
