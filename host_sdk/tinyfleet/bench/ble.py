"""What Bluetooth LE costs and gives, in the air: emulated boards, no radio. None of these is a radio's speed.

::

    figures = bench_ble(Path("build/signed"), "mps2_an386", boards=8)     # folder that tinyfleet build --signed wrote
    print(figures.connect_s, figures.notify_kb_per_s)
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from tinyfleet.device import Device, open_device
from tinyfleet.device_keys import keys_in, new_key
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.emulator.air import ThreadedAir, serve_air
from tinyfleet.image import find_factory_image, write_factory_slot
from tinyfleet.ota import push_firmware
from tinyfleet_codegen.errors import LinkTimeout

_ADVERTISING_S = 30.0
_IDLE_S = 5.0
_PATIENCE_S = 30.0  # A deadline measures nothing: a busy machine takes its time.
_WINDOWS = 1000
_RECORDS_A_PULL = 64


@dataclass(frozen=True, slots=True)
class BleFigures:
    """One run.

    Attributes:
        boards: Boards on the air at once.
        advertising_s: From the start of the first board until all advertise.
        idle_cores: Processor time of all boards together while they advertise, as a share of one core.
        air_cores: That of the air.
        connect_s: Scan, connect, discover, hello and session; median.
        reset_s: From the request to restart over this link until a new session is open; median.
        upload_kib_per_s: A firmware image into the other slot, in a session.
        notify_kb_per_s: What one board notifies, 1000 bytes a second: records pulled in a session, as they are in the air.
        fleet_records: Records that all boards together have made, and are pulled from all at once.
        fleet_missing: Of these, those that did not come.
        fleet_s: How long that took.
    """

    boards: int
    advertising_s: float
    idle_cores: float
    air_cores: float
    connect_s: float
    reset_s: float
    upload_kib_per_s: float
    notify_kb_per_s: float
    fleet_records: int
    fleet_missing: int
    fleet_s: float


def bench_ble(boot: Path, board: str, *, boards: int = 8, rounds: int = 5) -> BleFigures:
    """Measure.

    Args:
        boot: Folder that ``tinyfleet build --signed`` wrote.
        board: Board id.
        boards: How many of them idle on the air.
        rounds: Connections and restarts, of which the median counts.

    Raises:
        LinkError, DeviceError, ...: see :func:`tinyfleet.device.open_device`.
    """
    with TemporaryDirectory(prefix="tinyfleet-ble-") as folder, keys_in(Path(folder) / "keys"), serve_air() as air, ExitStack() as running:
        started = time.monotonic()
        emulated = [running.enter_context(start_on_air(board, boot, Path(folder) / f"{index}.nvm", air)) for index in range(boards)]
        advertising_s = wait_until_advertising(air, boards) - started
        idle, air_cores = idle_cores(emulated)
        connect_s, reset_s, upload, notify, fleet = asyncio.run(_measure(emulated, air, boot, rounds))
    return BleFigures(boards, advertising_s, sum(idle), air_cores, connect_s, reset_s, upload, notify, *fleet)


def start_on_air(board: str, boot: Path, nvm: Path, air: ThreadedAir) -> EmulatedBoard:
    """An updatable board fresh from the factory, on the air."""
    create_nvm(nvm, board)
    write_factory_slot(nvm, board, find_factory_image(boot).read_bytes())
    return EmulatedBoard.start(board, boot / "bootloader" / "bootloader.elf", nvm, air=air.address)


def wait_until_advertising(air: ThreadedAir, count: int) -> float:
    """Wait until so many controllers advertise; the time when they did.

    Raises:
        LinkTimeout: not within half a minute.
    """
    deadline = time.monotonic() + _ADVERTISING_S
    while len(air.advertisers) < count:
        if time.monotonic() > deadline:
            raise LinkTimeout(f"{len(air.advertisers)} of {count} boards advertise after {_ADVERTISING_S:g} s")
        time.sleep(0.01)
    return time.monotonic()


def idle_cores(emulated: list[EmulatedBoard], *, seconds: float = _IDLE_S) -> tuple[list[float], float]:
    """Share of a core that each board takes, and this process with its air, while nothing happens for some seconds."""
    before = [_cpu_s(board.pid) for board in emulated]
    own, started = time.process_time(), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - started
    return [(_cpu_s(board.pid) - cpu_s) / elapsed for board, cpu_s in zip(emulated, before, strict=True)], (
        time.process_time() - own
    ) / elapsed


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _measure(
    boards: list[EmulatedBoard], air: ThreadedAir, boot: Path, rounds: int
) -> tuple[float, float, float, float, tuple[int, int, float]]:
    for board in boards:
        async with open_device(board.url, timeout_s=_PATIENCE_S) as device:
            with new_key(board.device_id) as key:
                await device.provision(key)
    urls = [f"ble://{board.device_id.hex()}?air={air.address}" for board in boards]
    connects, resets = [], []
    for _ in range(rounds):
        started = time.monotonic()
        async with open_device(urls[0], timeout_s=_PATIENCE_S) as device:
            await device.session_status()
            connects.append(time.monotonic() - started)
            started = time.monotonic()
            await device.reset()
        async with open_device(urls[0], timeout_s=_PATIENCE_S) as device:
            await device.session_status()
            resets.append(time.monotonic() - started)
    async with open_device(urls[0], timeout_s=_PATIENCE_S) as device:
        pushed = await push_firmware(device, boot)
    made = [await _make_records(board) for board in boards]
    async with open_device(urls[0], timeout_s=_PATIENCE_S) as device:
        before, started = air.counts.notified_bytes, time.monotonic()
        await _pull(device)
        notify = (air.counts.notified_bytes - before) / 1000 / (time.monotonic() - started)
    started = time.monotonic()
    came = await asyncio.gather(*map(_open_and_pull, urls))
    fleet = sum(made), sum(made) - sum(came), time.monotonic() - started
    return median(connects), median(resets), pushed.upload.kib_per_s, notify, fleet


async def _make_records(board: EmulatedBoard) -> int:
    """Fill the board's ring with records, over its wire; how many it holds."""
    async with open_device(board.url, timeout_s=_PATIENCE_S) as device:
        info = await device.model_info()
        samples = info.window_samples + (_WINDOWS - 1) * info.hop_samples
        await device.replay(1, np.zeros((samples, info.channels), np.int16))
        return (await device.stats()).records


async def _open_and_pull(url: str) -> int:
    async with open_device(url, timeout_s=_PATIENCE_S) as device:
        return await _pull(device)


async def _pull(device: Device) -> int:
    """Pull all records; how many came."""
    count = since = 0
    while (page := await device.results(since, _RECORDS_A_PULL)).records:
        count += len(page.records)
        since = page.next
    return count
