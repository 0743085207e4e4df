"""An outage ends: what a gateway has queued goes into a cloud, each a process on this machine, by HTTP, until nothing is left."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from tinyfleet.bench.process_usage import cpu_s
from tinyfleet.demo.process import Process
from tinyfleet.demo.reserved_port import ReservedPort
from tinyfleet_codegen.errors import TinyfleetError
from tinyfleet_codegen.wire.record import Record

DEVICES = 200
PULL_RECORDS = 50
"""Devices take turns with so many records each, as pulls do."""
OUTPUT_BYTES = 6
SEED = 20261126
POLL_S = 0.1
STALLED_S = 120.0
LEFT_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class DrainResult:
    """One run.

    Attributes:
        queued: Records that waited, of 200 devices in turns of 50, 42 bytes each.
        seconds: From the moment the cloud answers until it has committed all of them, the outbox is empty and its files are given back.
        drain_hz: ``queued / seconds``.
        batch_records: Records in one delivery, at most.
        encoding: Of deliveries.
        stored: Rows in the cloud.
        lost: Not there.
        duplicated: Came by more than one outbox entry.
        gateway_us_per_record: Processor time of the gateway's process meanwhile.
        cloud_us_per_record: The same of the cloud's.
        left_bytes: Of the outbox's database and log at the end.
    """

    queued: int
    seconds: float
    drain_hz: float
    batch_records: int
    encoding: str
    stored: int
    lost: int
    duplicated: int
    gateway_us_per_record: float
    cloud_us_per_record: float
    left_bytes: int


def bench_drain(
    folder: Path,
    *,
    queued: int = 3_600_000,
    batch_records: int = 2000,
    encoding: str = "json",
    on_progress: Callable[[str], None] = lambda _: None,
) -> DrainResult:
    """Run it; see :class:`DrainResult`.

    Args:
        folder: New, on the disk that is meant; for all files.
        queued: Records that wait.
        batch_records: Records in one delivery, at most.
        encoding: ``json`` or ``cbor``.
        on_progress: Told how far it is.

    Raises:
        SetupError: a process did not start.
        TinyfleetError: nothing was delivered for two minutes.
    """
    from tinyfleet.gateway.outbox import OUTBOX_FILE, inspect_outbox  # noqa: PLC0415 - the extra "gateway"

    on_progress(f"queueing {queued} records")
    outbox = folder / "gateway" / OUTBOX_FILE
    outbox.parent.mkdir(parents=True)
    _fill(outbox, queued)
    logs = folder / "logs"
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(ReservedPort()).number
        config = folder / "gateway.toml"
        config.write_text(_config(port, batch_records, encoding), encoding="utf-8")

        def start(name: str, words: list[str]) -> Process:
            process = Process.start(name, words, logs / f"{name}.log", timeout_s=300.0)
            stack.callback(process.stop)
            return process

        gateway = start("gateway", ["gateway", "run", str(config)])
        cloud = start("cloud", ["cloud", "serve", "--data", str(folder / "cloud"), "--port", str(port)])
        begin_s, gateway_s, cloud_s = time.monotonic(), cpu_s(gateway.pid), cpu_s(cloud.pid)
        last, moved_s, told_s = queued, begin_s, begin_s
        while True:
            waiting, left = inspect_outbox(outbox)[0].waiting, _file_bytes(outbox)
            now_s = time.monotonic()
            if not waiting and left <= LEFT_BYTES:
                break
            if waiting != last:
                last, moved_s = waiting, now_s
            if now_s - moved_s > STALLED_S:
                raise TinyfleetError(f"{waiting} of {queued} records wait, none was delivered for {STALLED_S:.0f} s", hint="see its log")
            if now_s - told_s > 5.0:
                told_s = now_s
                on_progress(f"draining: {waiting} waiting, {(queued - waiting) / (now_s - begin_s):.0f} records a second")
            time.sleep(POLL_S)
        seconds = now_s - begin_s
        gateway_s, cloud_s = cpu_s(gateway.pid) - gateway_s, cpu_s(cloud.pid) - cloud_s
        with httpx.Client(base_url=str(cloud.facts["url"]), trust_env=False, timeout=300.0) as client:
            boots = client.get("/v1/devices").raise_for_status().json()["devices"]
            duplicated = client.get("/v1/summary").raise_for_status().json()["duplicated"]
    # One row per identity: a boot that ends where it should and has as many rows is whole.
    whole = sum(boot["stored"] for boot in boots if (boot["first_seq"], boot["last_seq"]) == (0, boot["stored"] - 1))
    return DrainResult(
        queued=queued,
        seconds=round(seconds, 1),
        drain_hz=round(queued / seconds),
        batch_records=batch_records,
        encoding=encoding,
        stored=sum(boot["stored"] for boot in boots),
        lost=queued - whole,
        duplicated=duplicated,
        gateway_us_per_record=round(1e6 * gateway_s / queued, 1),
        cloud_us_per_record=round(1e6 * cloud_s / queued, 1),
        left_bytes=left,
    )


def _fill(path: Path, queued: int) -> None:
    """Queue records of many devices, as pulls leave them."""
    from tinyfleet.gateway.outbox import Outbox, PulledRecord  # noqa: PLC0415 - the extra "gateway"

    rng = random.Random(SEED)
    devices, model = [rng.randbytes(16) for _ in range(DEVICES)], rng.randbytes(32)
    outbox = Outbox(path, gateway_id="bench", max_bytes=2**40)
    made = round_number = 0
    while made < queued:
        seq = round_number * PULL_RECORDS
        with outbox.group():
            for device_id in devices:
                count = min(PULL_RECORDS, queued - made)
                records = [
                    PulledRecord(s, _record(s, rng.randbytes(OUTPUT_BYTES)), 1_769_860_800_000_000 + s * 50_000, 900, model)
                    for s in range(seq, seq + count)
                ]
                if records:
                    outbox.append(device_id, 1, records, since=seq, next_seq=seq + count, lost=0)
                made += count
        round_number += 1
    outbox.close()


def _record(seq: int, output: bytes) -> bytes:
    top = max(range(OUTPUT_BYTES), key=output.__getitem__)
    return Record(1, seq, 0, seq * 25, 900 + seq % 50, 1_000_000 + seq * 50_000, 1, top, output).encode()


def _config(port: int, batch_records: int, encoding: str) -> str:
    # The device is one that is not there: only the queue is of interest.
    return (
        f'version = 2\n\n[gateway]\nid = "bench"\ndata_dir = "gateway"\n\n[outbox]\nmax_bytes = {2**40}\n\n'
        f'[[device]]\nurl = "serial:///dev/null"\n\n'
        f'[[sink]]\ntype = "http"\nurl = "http://127.0.0.1:{port}"\nencoding = "{encoding}"\nbatch_records = {batch_records}\n'
        "retry_max_s = 1.0\n"
    )


def _file_bytes(database: Path) -> int:
    """Of a database and its log."""
    return sum(path.stat().st_size for path in database.parent.glob(f"{database.name}*"))
