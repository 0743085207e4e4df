"""Many devices, one gateway, one cloud, each a process: what the gateway's own process costs, and whether anything is missing.

Devices are simulated in one process (:mod:`tinyfleet.emulator.simulated`). What they made is their own count, asked of each at the end;
what the cloud holds is its list of boots: one row per identity, seq 0 to the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tinyfleet.bench.process_usage import cpu_s, rss_bytes
from tinyfleet.demo.process import Process
from tinyfleet.device import open_device
from tinyfleet_codegen.errors import TinyfleetError

WARM_UP_S = 10.0
"""Left out of processor time and memory: connecting, first models."""
SAMPLE_S = 1.0
DRAIN_S = 300.0


@dataclass(frozen=True, slots=True)
class FleetResult:
    """One run.

    Attributes:
        devices, rate_hz, seconds: What was asked.
        produced: Records by the devices' own count.
        stored: Rows in the cloud.
        duplicated: Records that came by more than one outbox entry.
        lost: Produced and not stored; the devices' rings must not have overwritten any.
        cpu_share: Processor time of the gateway's process by wall time, without warm-up and draining; 1 is one core.
        cpu_us_per_record: Its processor time from when it is ready until all is delivered, by record: 150 is 60 % of a core at 4000
            a second.
        rss_half_bytes: Its resident memory at half time: the largest of the tenth of the samples before it.
        rss_end_bytes: The same at the end.
        rss_growth: ``rss_end_bytes / rss_half_bytes - 1``.
        most_waiting: Deepest outbox that was seen.
        drain_s: From the last record to the empty outbox.
        others_cpu_share: Of simulator and cloud, for comparison.
    """

    devices: int
    rate_hz: float
    seconds: float
    produced: int
    stored: int
    duplicated: int
    lost: int
    cpu_share: float
    cpu_us_per_record: float
    rss_half_bytes: int
    rss_end_bytes: int
    rss_growth: float
    most_waiting: int
    drain_s: float
    others_cpu_share: float


def bench_fleet(
    devices: int, period_ms: int, seconds: float, folder: Path, *, poll_s: float = 0.5, on_progress: Callable[[str], None] = lambda _: None
) -> FleetResult:
    """Run it; see :class:`FleetResult`.

    Args:
        devices: How many.
        period_ms: Between two records of one.
        seconds: How long they make records.
        folder: New; for all files.
        poll_s: The gateway's pause between two pulls of a device that had nothing.

    Raises:
        SetupError: a process did not start.
        TinyfleetError: the gateway did not drain.
    """
    logs = folder / "logs"
    with contextlib.ExitStack() as stack:

        def start(name: str, words: list[str]) -> Process:
            process = Process.start(name, words, logs / f"{name}.log", timeout_s=300.0)
            stack.callback(process.stop)
            return process

        cloud = start("cloud", ["cloud", "serve", "--data", str(folder / "cloud"), "--port", "0"])
        fleet_words = ["fleet", "simulate", str(devices), "--period-ms", str(period_ms), "--seconds", str(seconds)]
        fleet = start("fleet", fleet_words)
        began_s = time.monotonic()
        config = folder / "gateway.toml"
        config.write_text(_config(fleet.facts["devices"], str(cloud.facts["url"]), poll_s), encoding="utf-8")
        gateway = start("gateway", ["gateway", "run", str(config)])
        started_cpu_s = cpu_s(gateway.pid)
        with httpx.Client(base_url=str(cloud.facts["url"]), trust_env=False, timeout=60.0) as client:
            watch = _watch(gateway, (cloud, fleet), began_s + seconds, folder / "gateway", on_progress)
            ended_s = time.monotonic()
            least = devices * max(0, int(1000 * (seconds - WARM_UP_S) / period_ms))
            waiting = _drain(client, folder / "gateway", least, on_progress)
            drain_s = time.monotonic() - ended_s
            used_s = cpu_s(gateway.pid) - started_cpu_s
            gateway.stop()
            produced = asyncio.run(_produced(fleet.facts["devices"]))
            boots = client.get("/v1/devices").raise_for_status().json()["devices"]
            summary = client.get("/v1/summary").raise_for_status().json()
    by_device = {boot["device_id"]: boot for boot in boots}
    lost = sum(count - _whole(by_device.get(device_id), count) for device_id, count in produced.items())
    return FleetResult(
        devices=devices,
        rate_hz=1000 / period_ms,
        seconds=seconds,
        produced=sum(produced.values()),
        stored=sum(boot["stored"] for boot in boots),
        duplicated=summary["duplicated"],
        lost=lost,
        cpu_share=round(watch.cpu_share, 4),
        cpu_us_per_record=round(1e6 * used_s / max(1, sum(produced.values())), 1),
        rss_half_bytes=watch.rss_half,
        rss_end_bytes=watch.rss_end,
        rss_growth=round(watch.rss_end / max(1, watch.rss_half) - 1, 4),
        most_waiting=max(watch.most_waiting, waiting),
        drain_s=round(drain_s, 1),
        others_cpu_share=round(watch.others_share, 4),
    )


def _whole(boot: dict[str, Any] | None, count: int) -> int:
    """Stored records, when none is from elsewhere."""
    if boot is None or not count:
        return 0
    return min(int(boot["stored"]), count) if (boot["first_seq"], boot["last_seq"]) == (0, count - 1) else 0


@dataclass(slots=True)
class _Watch:
    cpu_share: float
    others_share: float
    rss_half: int
    rss_end: int
    most_waiting: int


def _watch(gateway: Process, others: tuple[Process, ...], until_s: float, data_dir: Path, on_progress: Callable[[str], None]) -> _Watch:
    """Sample the processes until the devices have made their last record."""
    from tinyfleet.gateway.outbox import OUTBOX_FILE, inspect_outbox  # noqa: PLC0415 - the extra "gateway"

    time.sleep(min(WARM_UP_S, max(0.0, until_s - time.monotonic()) / 2))
    first = (time.monotonic(), cpu_s(gateway.pid), sum(cpu_s(p.pid) for p in others))
    sizes: list[int] = []
    waiting = 0
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(SAMPLE_S, left_s))
        sizes.append(rss_bytes(gateway.pid))
        if len(sizes) % 10 == 0:
            waiting = max(waiting, inspect_outbox(data_dir / OUTBOX_FILE)[0].waiting)
            share = (cpu_s(gateway.pid) - first[1]) / (time.monotonic() - first[0])
            on_progress(f"{left_s:.0f} s left, gateway {share:.0%} of a core, {sizes[-1] / 2**20:.1f} MiB, at most {waiting} waiting")
    wall_s = time.monotonic() - first[0]
    tenth = max(1, len(sizes) // 10)
    half = len(sizes) // 2 + 1
    return _Watch(
        cpu_share=(cpu_s(gateway.pid) - first[1]) / wall_s,
        others_share=(sum(cpu_s(p.pid) for p in others) - first[2]) / wall_s,
        rss_half=max(sizes[max(0, half - tenth) : half], default=0),
        rss_end=max(sizes[-tenth:], default=0),
        most_waiting=waiting,
    )


def _drain(client: httpx.Client, data_dir: Path, least: int, on_progress: Callable[[str], None]) -> int:
    """Wait until the cloud holds what there is; the deepest outbox meanwhile."""
    from tinyfleet.gateway.outbox import OUTBOX_FILE, inspect_outbox  # noqa: PLC0415

    deepest, quiet, last = 0, 0, -1
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline:
        waiting = inspect_outbox(data_dir / OUTBOX_FILE)[0].waiting
        stored = client.get("/v1/summary").raise_for_status().json()["stored"]
        deepest = max(deepest, waiting)
        quiet = quiet + 1 if not waiting and stored == last and stored >= least else 0
        last = stored
        if quiet == 3:
            return deepest
        on_progress(f"draining: {waiting} waiting, {stored} stored")
        time.sleep(SAMPLE_S)
    raise TinyfleetError(f"the gateway did not drain within {DRAIN_S:.0f} s: {last} records are stored", hint="see its log")


async def _produced(urls: list[str]) -> dict[str, int]:
    """What each device says that it made."""
    counts = {}
    for url in urls:
        async with open_device(url, timeout_s=20.0) as device:
            counts[(await device.hello()).device_id.hex()] = (await device.stats()).records
    return counts


def _config(urls: list[str], cloud_url: str, poll_s: float) -> str:
    devices = "".join(f'[[device]]\nurl = "{url}"\npoll_s = {poll_s}\nmax_records = 256\ntimeout_s = 20.0\n\n' for url in urls)
    sink = f'[[sink]]\ntype = "http"\nurl = "{cloud_url}"\nbatch_records = 2000\nretry_max_s = 1.0\n'
    return f'version = 2\n\n[gateway]\nid = "bench"\ndata_dir = "gateway"\n\n{devices}{sink}'
