"""Models are swapped while a board answers: every input gets exactly one record, with the bits of the model that its generation names."""

from __future__ import annotations

import asyncio
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
import pytest

from hil_tests.budgets import compiler_version
from tests.support import standins
from tests.support.linker_map import flash_of_objects
from tests.support.live_stack import handler_stack_bound
from tests.support.model_swap import (
    ARENA_BYTES,
    BUILT_IN,
    TRIGGER,
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
from tinyfleet.bench.swap import bench_swap
from tinyfleet.device import Device, open_device
from tinyfleet.device_models import TestPolicy
from tinyfleet.device_reports import Task
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.engine import BlobModel
from tinyfleet.link import open_link
from tinyfleet.model_package import read_package, sign_package
from tinyfleet.platformio_build import FirmwareBuild
from tinyfleet.signing_keys import KEYS_VARIABLE
from tinyfleet.smp.client import DeviceClient
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.errors import DeviceError
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.wire.crash import CONTEXT_LIVE, CRASH_MAGIC, CrashWhy, decode_crash
from tinyfleet_codegen.wire.ids import ModelPhase, ModelPlace, Status
from tinyfleet_codegen.wire.record import Record, decode_record

BOARD = "mps2_an386"
SEED = 2026
A, B = dense_package("a", 2), dense_package("b", 3)
BUDGET_MS = 20
SHADOW = 8
STACK_GUARD_BYTES = 256
"""Where a stack ends before its end, on ARMv7-M."""
CRASH_OFFSET, CRASH_AREA_BYTES = 0xE000, 0x2000


PARTS = {
    "kernels": ("lib_nn",),
    "store": ("lib_model_store", "lib_model"),
    "smp": ("lib_smp", "lib_cbor", "lib_management", "lib_events"),
    "telemetry": ("lib_telemetry",),
    "session": ("lib_session",),
    "crypto": ("lib_crypto", "crypto_source"),
    "images": ("lib_boot", "lib_flash_map"),
    "settings": ("lib_settings",),
    "radio": ("lib_ble",),
}
"""Part of a firmware that can be managed -> folders of its objects."""
MANAGEMENT = ("smp", "telemetry", "store", "session")
MOST_MANAGEMENT_BYTES = 24 * 1024
"""Of those, on a Cortex-M4; the engine, signatures and ciphers, slots and settings are others."""


OTHER_BOARDS = ("mps2_an385_v6m", "mps2_an505", "mps3_an547")
"""The other classes of kernels, and memory protection as ARMv8-M has it."""


@pytest.fixture
def elf(swap_firmware: Callable[[str], FirmwareBuild]) -> Path:
    return swap_firmware(BOARD).elf


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


def test_ten_thousand_inferences_with_twenty_swaps_in_memory(tmp_path: Path) -> None:
    packages = make_packages(tmp_path, "host")
    url = "memory://?" + urlencode({"model": swap_model_dir(tmp_path / "model", "host"), "nvm": tmp_path / "board.nvm"})

    async def run() -> None:
        async with open_device(url, timeout_s=20) as device:
            await swap_among(device, packages, 10_000, 40)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("board_id", "total", "attempts"),
    [
        (BOARD, 700, 10),
        pytest.param(BOARD, 10_000, 40, marks=pytest.mark.full),
        *(pytest.param(board, 700, 10, marks=pytest.mark.full) for board in OTHER_BOARDS),
    ],
)
def test_every_input_gets_one_record_while_models_are_swapped(
    swap_firmware: Callable[[str], FirmwareBuild], tmp_path: Path, board_id: str, total: int, attempts: int
) -> None:
    packages, elf = make_packages(tmp_path, board_id), swap_firmware(board_id).elf

    async def run(url: str) -> None:
        async with open_device(url, timeout_s=30) as device:
            await swap_among(device, packages, total, attempts)

    with EmulatedBoard.start(board_id, elf, tmp_path / "board.nvm") as board:
        asyncio.run(run(board.url))
    # Whatever was tried, the last good one is live after a restart.
    with EmulatedBoard.start(board_id, elf, tmp_path / "board.nvm") as board:

        async def look() -> None:
            async with open_device(board.url, timeout_s=30) as device:
                assert (await device.model_info()).name in ("a", "b")
                assert (await device.models.list()).live is not ModelPlace.BUILT_IN

        asyncio.run(look())


@pytest.mark.parametrize("board", [BOARD, *(pytest.param(board, marks=pytest.mark.full) for board in OTHER_BOARDS)])
def test_what_a_managed_board_costs_is_within_its_budget(swap_firmware: Callable[[str], FirmwareBuild], board: str) -> None:
    budgets = tomllib.loads((Path(__file__).parent / "swap_budgets.toml").read_text(encoding="utf-8"))
    cost = cost_of(swap_firmware(board))
    print(f"{board}: {cost}")
    assert sum(cost[part] for part in MANAGEMENT) <= MOST_MANAGEMENT_BYTES or board != BOARD
    found = [
        f"{part} {size} bytes, budget {budgets[board][part]}"
        for part, size in cost.items()
        if part in budgets[board] and size > budgets[board][part] * 1.03
    ]
    if found and budgets["compiler"] != compiler_version():
        warnings.warn(f"{board}: {found}, but of another compiler", stacklevel=1)
        return
    assert not found and all(cost.values()), f"{found} (write what is meant into hil_tests/swap_budgets.toml)"


@pytest.mark.parametrize("board_id", [BOARD, *(pytest.param(board, marks=pytest.mark.full) for board in OTHER_BOARDS)])
def test_the_stack_of_handlers_holds_live_inference_and_interrupts(
    swap_firmware: Callable[[str], FirmwareBuild], tmp_path: Path, board_id: str
) -> None:
    firmware = swap_firmware(board_id)
    bound = handler_stack_bound(firmware.elf, firmware.linker_map)

    async def run(url: str) -> Task:
        async with open_device(url, timeout_s=30) as device:
            input_bytes = (await device.model_info()).input_bytes
            await device.infer(bytes(input_bytes))
            await device.self_infer_layers(SEED, 0)
            await device.replay(1, np.zeros((WINDOW_SAMPLES, CHANNELS), np.int16))
            await device.sample(2, seed=SEED, count=20)
            while (await device.sampling()).running:
                await device.echo("x" * 200)
            main, live = await device.tasks()
            assert (main.name, live.name) == ("main", "live") and live.priority < main.priority
            assert live.runs >= 23 and 0 < live.runtime_ms < main.runtime_ms
            return live

    with EmulatedBoard.start(board_id, firmware.elf, tmp_path / "board.nvm") as board:
        live = asyncio.run(run(board.url))
    print(f"{board_id}: {bound}, used {live.stack_used} of {live.stack_bytes}")
    assert sum(bound.values()) <= live.stack_bytes - STACK_GUARD_BYTES, "raise handler_stack_bytes in the manifest"
    # What was used may lack the deepest kernel and an interrupt at the worst moment.
    assert bound["live"] / 3 < live.stack_used <= sum(bound.values())


def cost_of(build: FirmwareBuild) -> dict[str, int]:
    """Flash by part."""
    objects = flash_of_objects(build.linker_map)
    cost = {part: sum(size for name, size in objects.items() if name.split("/")[0] in of) for part, of in PARTS.items()}
    return {**cost, "table": objects["model/kernel_table.o"]}


def quantized(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
    """The windows as the built-in model gets them; all models here have its input."""
    host = compile_graph(BUILT_IN, None)
    assert host.input.scale is not None and host.input.zero_point is not None
    return FRONTEND.apply(samples, host.input.scale, host.input.zero_point)


def window_with(first: int, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """One window whose first element becomes this number for the model."""
    samples = rng.integers(-200, 200, (WINDOW_SAMPLES, CHANNELS)).astype(np.int16)
    samples[0, 0] = (first - 5) * 5  # gain 0.01, scale 0.05, zero point 5
    assert quantized(samples)[0].flat[0] == first
    return samples


@pytest.mark.parametrize("bad", [Bad.FAULT_AT_TRIGGER, Bad.HANG_AT_TRIGGER])
def test_a_live_model_that_goes_bad_gives_its_place_back_over_a_reset(elf: Path, tmp_path: Path, bad: Bad) -> None:
    key = write_key(tmp_path)
    good = good_package(A, BOARD, key)
    traitor = with_bad_kernel(good_package(B, BOARD, key), load_target(BOARD).cpu_class, bad, key)
    rng = np.random.default_rng(SEED)
    harmless = window_with(TRIGGER - 60, rng)

    async def run(url: str) -> None:
        async with open_link(url, timeout_s=30) as link:
            # Of one request the answer never comes: it is sent again after half of its deadline.
            device, hasty = (Device(url, DeviceClient(link, timeout_s), timeout_s) for timeout_s in (30.0, 8.0))
            await device.params()
            for package in (good, traitor):
                await device.models.push(package)
                await device.models.test(TestPolicy(budget_ms=BUDGET_MS))
                await device.models.wait()
                await device.models.confirm(read_package(package).digest)
            await device.replay(1, harmless)
            boot = (await device.hello()).boot_id
            (record,) = (await device.results(0, 10)).records
            assert decode_record(record).model_generation == 3
            # It resets over this input, gets it once more because no answer came, and the model before it answers.
            await hasty.replay(2, window_with(TRIGGER, rng))
            assert (await device.hello()).boot_id == boot + 1
            models = await device.models.list()
            assert (models.live, models.generation, models.reverts) == (ModelPlace.SLOT_0, 2, 1)
            assert (models.slots[1].phase, models.slots[1].status) == (ModelPhase.REFUSED, Status.ERR_FAULT)
            (record,) = (await device.results(0, 10)).records
            assert (decode_record(record).model_generation, decode_record(record).stream) == (2, 2)

    with EmulatedBoard.start(BOARD, elf, tmp_path / "board.nvm") as board:
        asyncio.run(run(board.url))
    area = (tmp_path / "board.nvm").read_bytes()[CRASH_OFFSET : CRASH_OFFSET + CRASH_AREA_BYTES]
    record = decode_crash(area[area.index(CRASH_MAGIC.to_bytes(4, "little")) :])
    # The bad kernel traps, as our own assertions do.
    assert record is not None and record.why == (CrashWhy.ASSERT if bad is Bad.FAULT_AT_TRIGGER else CrashWhy.HANG)
    assert (record.context, record.model_generation, record.model_id) == (CONTEXT_LIVE, 3, B.model_id)


def test_late_answers_give_the_place_back_without_a_reset(elf: Path, tmp_path: Path) -> None:
    key = write_key(tmp_path)
    samples = np.zeros((WINDOW_SAMPLES + 5 * HOP_SAMPLES, CHANNELS), np.int16)

    async def run(url: str) -> None:
        async with open_device(url, timeout_s=30) as device:
            boot = (await device.hello()).boot_id
            await device.models.push(good_package(A, BOARD, key))
            await device.models.test(TestPolicy(budget_ms=BUDGET_MS, deadline_us=1, late=3, confirm=True))
            await device.models.wait()
            await device.replay(1, samples[:WINDOW_SAMPLES])
            assert (await device.models.list()).generation == 2, "one late answer is allowed, and two"
            await device.replay(1, samples[WINDOW_SAMPLES:], start=WINDOW_SAMPLES)
            models = await device.models.list()
            assert (models.generation, models.reverts, models.slots[0].status) == (1, 1, Status.ERR_OVERRUN)
            assert (await device.hello()).boot_id == boot
            generations = [decode_record(record).model_generation for record in (await device.results(0, 10)).records]
            assert len(generations) == 6 and generations[:3] == [2, 2, 2] and set(generations[3:]) <= {1, 2}

    with EmulatedBoard.start(BOARD, elf, tmp_path / "board.nvm") as board:
        asyncio.run(run(board.url))


@pytest.mark.parametrize("name", ["dense", pytest.param("ad", marks=pytest.mark.full)])
def test_the_gap_between_answers_stays_below_two_inferences_while_a_package_is_proved(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the MLPerf AD architecture the package has 292 KB."""
    monkeypatch.setenv(KEYS_VARIABLE, str(tmp_path / "keys"))
    model = ModelPackage("ad", standins.ad()) if name == "ad" else dense_package("dense", 5, hidden=900)
    figures = bench_swap(model, BOARD)
    print(figures)
    assert figures.answers > 10 and figures.late == 0
    assert figures.max_gap_us <= max(2 * figures.latency_us, (figures.period_ms + 1) * 1000)
    # A delta sends the last layer and little else.
    assert figures.delta_bytes is not None and figures.delta_bytes < (figures.head_share + 0.15) * figures.package_bytes
