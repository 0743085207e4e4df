"""How fast bytes get into a board and out of it: over the UART of an emulated one, and into one in this process.

::

    for rate in bench_link(load_package(Path("kws.tflite")), "mps2_an386"):
        print(rate.path, rate.kib_per_s, rate.ratio)

Wall time on this machine, whatever else it does meanwhile; an emulated UART has no baud rate.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from tinyfleet.device import Device, open_device
from tinyfleet.device_keys import keys_in, new_key
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.image import find_factory_image, write_factory_slot
from tinyfleet.ota import push_firmware
from tinyfleet.platformio_build import build_signed
from tinyfleet.signing_keys import development_keys
from tinyfleet.smp.upload import UploadReport
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.package import ModelPackage

SWAP_ARENA_BYTES = 65536
PACKAGE_BYTES = 256 * 1024
"""Of the file that is sent into a slot for models: random bytes, since nothing looks at them before they are tested."""
_RECORDS = 500
_RECORDS_A_PULL = 64
_SAMPLING_MS = 1


@dataclass(frozen=True, slots=True)
class LinkRate:
    """One path.

    Attributes:
        path: What goes where.
        kib_per_s: Payload, the median of all rounds; ``least`` and ``most`` of them beside it.
        asked_kib_per_s: What it should reach.
        ratio: Reached over asked.
        payload_bytes: Of one round.
        why: How chunks and window were chosen, in the last round.
    """

    path: str
    kib_per_s: float
    least: float
    most: float
    asked_kib_per_s: float
    ratio: float
    payload_bytes: int
    why: str


def bench_link(package: ModelPackage, board: str, *, rounds: int = 3) -> list[LinkRate]:
    """Measure all paths.

    Args:
        package: The built-in model, best one with a small output: of its records telemetry is pulled.
        board: An emulated board that takes updates.
        rounds: Of each path.

    Raises:
        CompileError, BuildError, LinkError, DeviceError: see :mod:`tinyfleet_codegen.errors`.
    """
    with TemporaryDirectory(prefix="tinyfleet-link-") as name, keys_in(Path(name) / "keys"):
        folder = Path(name)
        for target in (board, "host"):
            compile_model(package, target, folder / target, swap_arena_bytes=SWAP_ARENA_BYTES)
        keys = development_keys()
        boot = folder / "boot"
        build_signed(board, folder / board, boot, keys, version="1.0.0", security_counter=0)
        nvm = folder / "board.nvm"
        create_nvm(nvm, board)
        write_factory_slot(nvm, board, find_factory_image(boot).read_bytes())
        with EmulatedBoard.start(board, boot / "bootloader" / "bootloader.elf", nvm) as running:
            rates = asyncio.run(_over_uart(running.url, boot, rounds))
        memory = "memory://?" + urlencode({"model": folder / "host"})
        return [*rates, asyncio.run(_into_memory(memory, rounds))]


async def _over_uart(url: str, boot: Path, rounds: int) -> list[LinkRate]:
    async def image(device: Device) -> UploadReport:
        await device.erase_image()
        return (await push_firmware(device, boot)).upload

    async with open_device(url) as device:
        rates = [
            await _uploads("firmware, emulated UART", device, image, 20, rounds),
            await _uploads("model, emulated UART", device, _model, 20, rounds),
            await _pulls("telemetry, emulated UART", device, rounds),
        ]
        with new_key((await device.hello()).device_id) as key:
            await device.provision(key)
    async with open_device(url) as device:
        return [*rates, await _uploads("model, emulated UART, in a session", device, _model, 20, rounds)]


async def _into_memory(url: str, rounds: int) -> LinkRate:
    async with open_device(url) as device:
        return await _uploads("model, memory://", device, _model, 1024, rounds)


async def _model(device: Device) -> UploadReport:
    await device.models.erase()
    return await device.models.push(random.Random(1).randbytes(PACKAGE_BYTES))


async def _uploads(path: str, device: Device, send: Callable[[Device], Awaitable[UploadReport]], asked: float, rounds: int) -> LinkRate:
    reports = [await send(device) for _ in range(rounds)]
    return _rate(path, [report.kib_per_s for report in reports], asked, reports[-1].file_bytes, reports[-1].why)


async def _pulls(path: str, device: Device, rounds: int) -> LinkRate:
    """Let the board's own sensor fill its ring, then pull all of it, again and again."""
    await device.sample(_SAMPLING_MS, count=_RECORDS)
    while (await device.sampling()).running:  # noqa: ASYNC110 - it is the board that goes on
        await asyncio.sleep(0.05)
    rates = []
    for _ in range(rounds):
        started, since, pulled = time.monotonic(), 0, 0
        while (page := await device.results(since, _RECORDS_A_PULL)).records:
            since = page.next
            pulled += sum(map(len, page.records))
        rates.append(pulled / 1024 / (time.monotonic() - started))
    return _rate(path, rates, 80, pulled, f"{_RECORDS_A_PULL} records a request at most, one request under way")


def _rate(path: str, rates: list[float], asked: float, payload_bytes: int, why: str) -> LinkRate:
    middle = median(rates)
    return LinkRate(path, middle, min(rates), max(rates), asked, middle / asked, payload_bytes, why)
