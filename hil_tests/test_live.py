"""Live inference above management, in the sensor application: by a timer, with the right bits, and when it goes bad."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil_tests.conftest import CHANNELS, WINDOW_SAMPLES, StartBoard
from tests.support.model_swap import BUILT_IN, TRIGGER, Bad, good_package, with_bad_kernel, write_key
from tests.support.small_models import dense_package
from tinyfleet.device import Device, connect, open_device
from tinyfleet.device_models import TestPolicy
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.link import open_link
from tinyfleet.platformio_build import FirmwareBuild
from tinyfleet.smp.client import DeviceClient
from tinyfleet_codegen.errors import DeviceError, LinkTimeout
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.wire.crash import CONTEXT_LIVE, CrashWhy
from tinyfleet_codegen.wire.ids import ModelPlace
from tinyfleet_codegen.wire.record import Record, decode_record
from tinyfleet_codegen.wire.seeded import seeded_bytes

BOARD = "mps2_an386"
PERIOD_MS, COUNT, SEED = 5, 300, 7
INPUT_BYTES = WINDOW_SAMPLES * CHANNELS
TIMEOUT_S = 40.0
ATTEMPTS = 5


async def pull(device: Device, since: int) -> list[Record]:
    """All records from ``since`` on; none may be lost."""
    records: list[Record] = []
    while True:
        pulled = await device.results(since + len(records), 1000)
        assert pulled.lost == 0
        if not pulled.records:
            return records
        records += map(decode_record, pulled.records)


async def sample_and_manage(device: Device, since: int) -> tuple[int, int, list[Record]]:
    """All that management does while the board samples: how often it did, how often it was refused an output, and the records."""
    assert (await device.sample(PERIOD_MS, seed=SEED, count=COUNT)).running
    busy = refused = 0
    records: list[Record] = []
    while (state := await device.sampling()).running:
        await device.echo("x" * 200)
        await device.self_infer(1, 0, 5)
        await device.stats()
        records += await pull(device, since + len(records))  # The ring has its writer above its reader.
        busy += 1
        try:
            await device.last_output()
        except DeviceError as error:
            refused += error.status == "TYF_ERR_STATE"
    assert (state.answers, state.late) == (COUNT, 0)
    records += await pull(device, since + len(records))
    assert [(record.stream, record.sample_index) for record in records] == [(0, case) for case in range(COUNT)]
    # An idle board's clock jitters with the host's (hil_tests/test_guard.py looks at the gaps of a busy one).
    gaps = np.diff([record.uptime_us for record in records])
    assert abs(gaps.max() - state.max_gap_us) < 100  # The record is written a little before the answer ends.
    assert abs(np.median(gaps) - 1_000 * PERIOD_MS) < 500
    # The model hands its input on.
    assert [record.output for record in records] == [seeded_bytes(SEED, case, INPUT_BYTES).tobytes() for case in range(COUNT)]
    return busy, refused, records


@pytest.mark.parametrize("board", [BOARD, *(pytest.param(board, marks=pytest.mark.full) for board in ("mps2_an505", "mps2_an385_v6m"))])
async def test_samples_are_answered_on_time_whatever_management_does(board: str, start_board: StartBoard) -> None:
    print(f"seed {SEED}")
    async with open_device(start_board(board=board).url, timeout_s=TIMEOUT_S) as device:
        made = 0
        for _ in range(ATTEMPTS):  # A host that stands still meanwhile manages nothing, and this shows nothing.
            busy, refused, records = await sample_and_manage(device, made)
            made += len(records)
            if busy and refused:
                break
        assert busy > 0 and refused > 0
        assert await device.infer(bytes(INPUT_BYTES)) == bytes(INPUT_BYTES)
        assert not (await device.sample(0)).running


def test_a_live_model_that_goes_bad_is_given_up_and_its_crash_names_the_place(
    swap_firmware: Callable[[str], FirmwareBuild], tmp_path: Path
) -> None:
    """Fault, then hang: each time a reset, the model before it, a record that outlives power, and file and line."""
    key = write_key(tmp_path)
    elf = swap_firmware(BOARD).elf
    good = good_package(dense_package("goes bad", 9), BOARD, key)
    cpu_class = load_target(BOARD).cpu_class
    nvm = tmp_path / "board.nvm"
    for bad, why in ((Bad.FAULT_AT_TRIGGER, CrashWhy.ASSERT), (Bad.HANG_AT_TRIGGER, CrashWhy.HANG)):
        package = with_bad_kernel(good, cpu_class, bad, key)
        with EmulatedBoard.start(BOARD, elf, nvm) as board:
            generation = asyncio.run(make_live_and_trigger(board.url, package))
            with connect(board.url, timeout_s=TIMEOUT_S) as device:
                assert (device.model_info().name, device.stats().resets) == (BUILT_IN.name, 1)
        # Without power the record lies in flash alone.
        with EmulatedBoard.start(BOARD, elf, nvm) as board:
            with connect(board.url, timeout_s=TIMEOUT_S) as device:
                assert device.model_info().name == BUILT_IN.name
                record = device.crash()
            assert record is not None
            assert (record.why, record.context, record.model_generation) == (why, CONTEXT_LIVE, generation)
            command = [sys.executable, "-m", "tinyfleet", "device", "crash", board.url, "--elf", str(elf)]
            told = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=300, check=True).stdout)["crash"]
            assert told["place"]["function"] == f"bad_{bad}" and told["place"]["file"].endswith("kernel_table.c")
            assert told["context"] == "live inference"
            words = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
            assert f"{why.name.lower()} in live inference" in words and f"bad_{bad} at " in words


async def make_live_and_trigger(url: str, package: bytes) -> int:
    """Let a package become live, and feed it what it cannot bear; its generation."""
    async with open_link(url, timeout_s=TIMEOUT_S) as link:
        device, hasty = (Device(url, DeviceClient(link, timeout_s), timeout_s) for timeout_s in (TIMEOUT_S, 3.0))
        await device.params()
        await device.models.push(package)
        await device.models.test(TestPolicy(budget_ms=50))
        await device.models.wait()
        generation = await device.models.confirm()
        assert (await device.models.list()).live is not ModelPlace.BUILT_IN
        input_bytes = (await device.model_info()).input_bytes
        with pytest.raises(LinkTimeout):  # The board resets in the midst of it and answers nothing.
            await hasty.infer(bytes([TRIGGER]) + bytes(input_bytes - 1))
    return generation
