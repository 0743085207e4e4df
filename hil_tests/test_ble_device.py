"""An emulated board over BLE: everything that a wire can do, and what is lost on the way."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cbor2
import numpy as np
import pytest
from smp.header import Header

from hil_tests.conftest import BOARD, Updatable
from tests.support.model_board import answer, some_input
from tests.support.model_swap import BUILT_IN, good_package
from tests.support.small_models import CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, dense_package
from tinyfleet.device import Device, connect, open_device
from tinyfleet.device_keys import ENVIRONMENT, new_key
from tinyfleet.device_models import TestPolicy
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.emulator.air import AirFaults, ThreadedAir, serve_air
from tinyfleet.image import read_image, write_factory_slot
from tinyfleet.link import open_link
from tinyfleet.link.ble import AIR_ENVIRONMENT
from tinyfleet.model_package import read_package
from tinyfleet.ota import confirm_firmware, push_firmware, try_firmware
from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.requests import EchoRequest
from tinyfleet_codegen.errors import LinkTimeout
from tinyfleet_codegen.wire.ble import name_of
from tinyfleet_codegen.wire.record import decode_record

SEED = 20261126
TIMEOUT_S = 20.0
A, B = dense_package("a", 2), dense_package("b", 3)


@dataclass(frozen=True, slots=True)
class Site:
    """A board in an air, with a key that this host has, and with its serial line."""

    air: ThreadedAir
    board: EmulatedBoard
    nvm: Path
    updatable: Updatable

    @property
    def url(self) -> str:
        return f"ble://{self.board.device_id.hex()}"


@pytest.fixture(scope="module")
def site(updatable: Updatable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("ble")
    nvm = folder / "board.nvm"
    create_nvm(nvm, BOARD)
    write_factory_slot(nvm, BOARD, updatable.image(0, "1.0.0"))
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv(ENVIRONMENT, str(folder / "keys"))
        air = stack.enter_context(serve_air())
        patch.setenv(AIR_ENVIRONMENT, air.address)
        board = stack.enter_context(EmulatedBoard.start(BOARD, updatable.signed.bootloader.elf, nvm, air=air.address))
        with connect(board.url, timeout_s=TIMEOUT_S) as device, new_key(board.device_id) as key:
            device.provision(key)
        yield Site(air, board, nvm, updatable)


@pytest.fixture
async def device(site: Site) -> AsyncIterator[Device]:
    async with open_device(site.url, timeout_s=TIMEOUT_S) as device:
        yield device


async def test_info_infer_replay_results_stats_settings_as_over_the_wire(site: Site, device: Device) -> None:
    rng = np.random.default_rng(SEED)
    samples = rng.integers(-800, 800, (WINDOW_SAMPLES + 9 * HOP_SAMPLES, CHANNELS)).astype(np.int16)
    assert (await device.session_status()).session
    await device.replay(1 + (await device.hello()).boot_id, samples)
    await device.write_setting("place", b"hall 3")
    async with open_device(site.board.url, timeout_s=TIMEOUT_S) as wired:
        before, after = await wired.hello(), await device.hello()
        assert (before.device_id, before.boot_id, before.board, before.app) == (after.device_id, after.boot_id, after.board, after.app)
        assert after.device_id == site.board.device_id
        assert await device.model_info() == await wired.model_info()
        assert await device.images() == await wired.images()
        for seed in range(3):
            x = some_input(seed)
            assert await device.infer(x) == await wired.infer(x)
        mine, theirs = await device.results(0, 64), await wired.results(0, 64)
        assert mine == theirs and len(mine.records) >= 10
        assert [decode_record(record).seq for record in mine.records] == list(range(len(mine.records)))
        assert await device.self_infer(SEED, 0, 40) == await wired.self_infer(SEED, 0, 40)
        assert await device.read_setting("place") == await wired.read_setting("place") == b"hall 3"
        assert (await device.stats()).records == (await wired.stats()).records
        assert await device.statistics() and await device.crash() is None
        # Two sessions at once, each of its link: neither ends the other.
        assert (await device.session_status()).session and (await wired.session_status()).session


async def test_echo_of_every_size_comes_back(site: Site) -> None:
    async with open_link(site.url, timeout_s=TIMEOUT_S) as link:
        client = DeviceClient(link, TIMEOUT_S)
        buf_size, _ = await client.negotiate()
        most = buf_size - Header.SIZE - len(cbor2.dumps({"d": ""})) - 2
        for size in (0, 1, 100, 225, 226, 227, 235, 236, 237, 244, 245, 500, most - 1, most):
            text = "".join(itertools.islice(itertools.cycle("abcdefghij\n"), size))
            assert (await client.ask(EchoRequest(d=text), repeatable=False)).r == text, size
        assert link.dropped_frames == 0


async def test_a_stopped_board_is_a_timeout_and_goes_on_after(site: Site) -> None:
    async with open_link(site.url, timeout_s=TIMEOUT_S) as link:
        patient = DeviceClient(link, TIMEOUT_S)
        await patient.negotiate()
        os.kill(site.board.pid, signal.SIGSTOP)
        try:
            with pytest.raises(LinkTimeout):
                await DeviceClient(link, 1.0).ask(EchoRequest(d="nobody"), repeatable=True)
        finally:
            os.kill(site.board.pid, signal.SIGCONT)
        assert (await patient.ask(EchoRequest(d="there"), repeatable=True)).r == "there"


async def test_a_key_is_changed_in_a_session_over_the_air(site: Site) -> None:
    command = [sys.executable, "-P", "-m", "tinyfleet", "device", "provision", site.url, "--timeout", "40", "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert json.loads(out)["replaced"]
    async with open_device(site.url, timeout_s=TIMEOUT_S) as device:
        assert (await device.session_status()).session


async def test_a_second_host_is_told_who_is_in_reach(site: Site, device: Device) -> None:
    with pytest.raises(LinkTimeout, match="in reach: nobody") as missed:
        async with open_device(site.url, timeout_s=0.5):
            pass
    assert missed.value.hint is not None and "not connected to another host" in missed.value.hint
    assert await device.echo("still mine") == "still mine"


async def test_verify_over_the_air_by_seeds(site: Site, tmp_path: Path) -> None:
    model = tmp_path / "built_in.tflite"
    BUILT_IN.save(model)
    url = f"ble://{name_of(site.board.device_id)}"
    command = [sys.executable, "-P", "-m", "tinyfleet", "verify", str(model), "--on", url, "-n", "20", "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    (target,) = json.loads(out)["targets"]
    assert (target["checked"], target["mismatches"], target["layers_compared"] > 0) == (20, 0, True)


async def test_verify_goes_on_where_the_link_was_lost(site: Site, tmp_path: Path) -> None:
    """Sequences that a model could remember begin again; nothing else is told of it."""
    model, inputs = tmp_path / "built_in.tflite", tmp_path / "x.npy"
    BUILT_IN.save(model)
    np.save(inputs, np.stack([np.frombuffer(some_input(seed), np.int8).reshape(WINDOW_SAMPLES, CHANNELS) for seed in range(12)]))
    for more in (["-n", "60"], ["-n", "60", "--outputs-only"], ["--inputs", str(inputs), "-n", "12"]):
        planned = [1_500, 2_500, 3_500]  # finding the services takes some hundred
        site.air.faults = AirFaults(link_loss_after_bytes=list(planned))
        try:
            command = [sys.executable, "-P", "-m", "tinyfleet", "verify", str(model), "--on", site.url, *more, "--json"]
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
            out, err = await process.communicate()
            left = list(site.air.faults.link_loss_after_bytes)
        finally:
            site.air.faults = AirFaults()
        assert process.returncode == 0, (more, err.decode())
        (target,) = json.loads(out)["targets"]
        assert (target["mismatches"], target["checked"]) == (0, 12 if "--inputs" in more else 60)
        print(f"{more}: {len(planned) - len(left)} links lost")
        assert len(left) < len(planned), "no link was lost"


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("drop", [0.01, 0.03])
async def test_an_upload_comes_through_where_pieces_get_lost(site: Site, tmp_path: Path, drop: float) -> None:
    """A lost piece shifts what follows it; it took two of them to end an upload, and a session with it."""
    version = f"{round(1000 * drop)}.0.0"
    folder = write_images(site, tmp_path / version, version)
    async with open_device(site.url, timeout_s=TIMEOUT_S) as device:
        before = site.air.counts.dropped
        site.air.faults = AirFaults(seed=SEED, drop=drop)
        try:
            pushed = await push_firmware(device, folder)
        finally:
            site.air.faults = AirFaults()
        dropped = site.air.counts.dropped - before
        print(f"seed {SEED}, {dropped} pieces lost, {pushed.upload}")
        assert dropped > 3 and pushed.upload.lost_chunks > 0
        (other,) = [image for image in await device.images() if not image.is_active]
        assert other.hash == pushed.hash
        await device.erase_image()


def write_images(site: Site, folder: Path, version: str) -> Path:
    folder.mkdir()
    for slot in (0, 1):
        (folder / f"sensor.slot{slot}.bin").write_bytes(site.updatable.image(slot, version))
    return folder


async def update_firmware(device: Device, folder: Path, version: str) -> None:
    """Push, test and confirm; the board then runs the very image."""
    pushed = await push_firmware(device, folder)
    assert pushed.hash == read_image(pushed.path.read_bytes()).digest
    assert (await try_firmware(device, pushed.hash)).version == version
    kept = await confirm_firmware(device)
    assert (kept.hash, kept.is_confirmed) == (pushed.hash, True)


async def update_model(device: Device, package: bytes) -> None:
    """Push, prove and make live; the board then computes what the host does."""
    await device.models.push(package)
    await device.models.test(TestPolicy(budget_ms=20))
    await device.models.wait()
    await device.models.confirm(read_package(package).digest)
    assert (await device.models.list()).live_digest == read_package(package).digest


def losses(chance: random.Random, count: int, most_bytes: int) -> list[int]:
    """Where links end: some at once, some late."""
    return [chance.randrange(50, most_bytes) for _ in range(count)]


@pytest.mark.parametrize("count", [4, pytest.param(100, marks=[pytest.mark.full, pytest.mark.timeout(1200)])])
async def test_firmware_updates_resume_wherever_the_link_is_lost(site: Site, tmp_path: Path, count: int) -> None:
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    site.air.faults = AirFaults(link_loss_after_bytes=losses(chance, count, 30_000))
    try:
        number = 1
        while site.air.faults.link_loss_after_bytes:
            number += 1
            async with open_device(site.url, timeout_s=TIMEOUT_S) as device:
                version = f"{number}.0.0"
                await update_firmware(device, write_images(site, tmp_path / version, version), version)
    finally:
        site.air.faults = AirFaults()
    print(f"{number - 1} updates, {count} losses")


@pytest.mark.parametrize("count", [4, pytest.param(100, marks=[pytest.mark.full, pytest.mark.timeout(1200)])])
async def test_models_are_swapped_wherever_the_link_is_lost(site: Site, count: int) -> None:
    chance = random.Random(SEED)
    packages = [good_package(model, BOARD, site.updatable.keys.model) for model in (A, B)]
    expected = [answer(good_package(model, "host", site.updatable.keys.model), some_input(1)) for model in (A, B)]
    site.air.faults = AirFaults(link_loss_after_bytes=losses(chance, count, 6_000))
    try:
        swaps = 0
        while site.air.faults.link_loss_after_bytes:
            async with open_device(site.url, timeout_s=TIMEOUT_S) as device:
                await update_model(device, packages[swaps % 2])
            swaps += 1
    finally:
        site.air.faults = AirFaults()
    async with open_device(site.url, timeout_s=TIMEOUT_S) as device:
        assert await device.infer(some_input(1)) == expected[(swaps - 1) % 2]
        while (await device.models.list()).live_digest is not None:
            await device.models.revert()  # as it was for who comes next
    print(f"{swaps} swaps, {count} losses")


@pytest.mark.full
async def test_what_systems_lose_in_silence_costs_time_and_nothing_else(site: Site, tmp_path: Path) -> None:
    """Pieces vanish, come twice or late: requests and replies are damaged, and everything is done once and right."""
    version = "200.0.0"
    folder = write_images(site, tmp_path / version, version)
    async with open_device(site.board.url, timeout_s=TIMEOUT_S) as wired:
        name = (await wired.model_info()).name
    site.air.faults = AirFaults(seed=SEED, drop=0.003, duplicate=0.002, late=0.002)
    try:
        async with open_device(site.url, timeout_s=TIMEOUT_S) as device:
            for number in range(30):
                assert await device.echo(f"{number} " * 200) == f"{number} " * 200
                assert (await device.model_info()).name == name
            await update_firmware(device, folder, version)
    finally:
        site.air.faults = AirFaults()
