"""Boards in the air: many of them, asleep; what they cost and give; and one while everything goes wrong."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bleak import BleakScanner

import tests.support.air_site
from hil_tests.conftest import BOARD, Updatable
from tests.support.air_site import FLOWS, AirSite, Flow, air_site, records, some_faults
from tinyfleet.bench.ble import bench_ble, idle_cores, wait_until_advertising
from tinyfleet.device import Device
from tinyfleet.device_keys import ENVIRONMENT
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.emulator.air import AirFaults, ThreadedAir, serve_air
from tinyfleet.emulator.bleak_air import air_backend
from tinyfleet.platformio_build import FirmwareBuild
from tinyfleet_codegen.wire.ble import name_of

SEED = 20261126
IDLE_BOARDS = 8
MOST_IDLE_CORES = 0.5
ATTEMPTS = 5
TIMEOUT_S = 40.0


def test_eight_boards_advertise_and_sleep(air: ThreadedAir, start_in: Callable[[ThreadedAir], EmulatedBoard]) -> None:
    boards = [start_in(air) for _ in range(IDLE_BOARDS)]
    wait_until_advertising(air, IDLE_BOARDS)

    expected = {name_of(board.device_id) for board in boards}

    async def scan() -> set[str | None]:
        seen: set[str | None] = set()
        async with asyncio.timeout(TIMEOUT_S), BleakScanner(backend=air_backend(air.address).scanner_type) as scanner:
            async for device, _ in scanner.advertisement_data():
                seen.add(device.name)
                if seen - {None} >= expected:
                    return seen
        raise AssertionError("not reached")

    assert asyncio.run(scan()) - {None} == expected
    cores = [1.0]
    for _ in range(ATTEMPTS):  # What a stall leaves to be done may spoil one.
        cores, air_cores = min((cores, 0.0), idle_cores(boards, seconds=2.0), key=lambda measured: sum(measured[0]))
        print(f"{IDLE_BOARDS} idle boards on the air: {sum(cores):.1%} of a core in all, worst {max(cores):.1%}, the air {air_cores:.1%}")
        if sum(cores) < MOST_IDLE_CORES:
            break
    assert sum(cores) < MOST_IDLE_CORES


def test_figures_in_the_air(updatable: Updatable) -> None:
    """Speeds are the benchmark's, on an idle machine; here that each is measured and that nothing gets lost."""
    figures = bench_ble(updatable.folder, BOARD, boards=1, rounds=3)
    print(figures)
    assert (figures.fleet_records, figures.fleet_missing) == (1000, 0)
    assert min(figures.connect_s, figures.reset_s, figures.fleet_s, figures.upload_kib_per_s, figures.notify_kb_per_s) > 0


def test_command_puts_a_board_on_an_air_of_its_own(firmware: Callable[[str], FirmwareBuild]) -> None:
    command = [sys.executable, "-P", "-m", "tinyfleet", "emulate", BOARD, "--elf", str(firmware(BOARD).elf), "--ble", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        facts = json.loads(process.stdout.readline())
        name, _, address = facts["ble"].removeprefix("ble://").partition("?air=")
        assert name == name_of(bytes.fromhex(facts["device_id"]))
        finding = BleakScanner.find_device_by_name(name, timeout=TIMEOUT_S, backend=air_backend(address).scanner_type)
        assert asyncio.run(finding) is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0, process.stderr.read()


def test_board_without_a_second_uart_is_refused(firmware: Callable[[str], FirmwareBuild], tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "tinyfleet", "emulate", "microbit", "--elf", str(firmware(BOARD).elf), "--ble"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: microbit has no UART for a Bluetooth controller\n  hint: boards that have one: mps2_an385")


@pytest.fixture(scope="module")
def site(updatable: Updatable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirSite]:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch, serve_air() as air:
        patch.setenv(ENVIRONMENT, str(folder / "keys"))
        with air_site(BOARD, updatable.signed, updatable.keys, air, folder) as site:
            yield site


@pytest.mark.parametrize("flows", [6, pytest.param(100, marks=[pytest.mark.full, pytest.mark.timeout(2400)])])
def test_flows_survive_whatever_goes_wrong(flows: int, site: AirSite) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    for number in range(flows):
        assert asyncio.run(site.survive(FLOWS[number % len(FLOWS)], some_faults(chance))) == []
    print(f"{site.air.counts}, errors {dict(site.errors)}")


async def never_ends(_site: AirSite, device: Device) -> None:
    await device.echo("there")
    await asyncio.Event().wait()


async def forgets_a_record(site: AirSite, device: Device) -> None:
    before = {boot: list(pulled) for boot, pulled in site.pulled.items()}
    await records(site, device)
    boot_id = (await device.hello()).boot_id
    site.pulled[boot_id].pop(0)
    try:
        await records(site, device)
    finally:
        site.pulled = before


async def cannot(_site: AirSite, device: Device) -> None:
    await device.infer(b"not a tensor")


async def is_broken(_site: AirSite, _device: Device) -> None:
    raise KeyError("a bug")


@pytest.mark.parametrize(
    ("flow", "finding"),
    [
        (never_ends, "never_ends: no end within 2 s under"),
        (forgets_a_record, "forgets_a_record: wrong under"),
        (cannot, "cannot: fails without faults after"),
        (is_broken, "is_broken: KeyError under"),
    ],
)
def test_what_goes_wrong_in_a_flow_is_a_finding(flow: Flow, finding: str, site: AirSite, monkeypatch: pytest.MonkeyPatch) -> None:
    if flow is never_ends:
        monkeypatch.setattr(tests.support.air_site, "FLOW_S", 2.0)
    (found,) = asyncio.run(site.survive(flow, AirFaults()))
    assert found.startswith(finding)
