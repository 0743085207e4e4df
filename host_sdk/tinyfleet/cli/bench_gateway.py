"""``tinyfleet bench gateway``: what a gateway costs and holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json

if TYPE_CHECKING:
    from tinyfleet.bench.drain import DrainResult
    from tinyfleet.bench.gateway_fleet import FleetResult
    from tinyfleet.bench.outbox import OutboxResult


class Part(StrEnum):
    """What is measured."""

    OUTBOX = "outbox"
    FLEET = "fleet"
    DRAIN = "drain"


def add_command(group: typer.Typer) -> None:
    """Add ``gateway``."""
    group.command("gateway", epilog="Example: tinyfleet bench gateway --part outbox --part drain --queued 300000")(bench_gateway_command)


def bench_gateway_command(
    part: Annotated[list[Part], typer.Option(help="Only this part; may be given several times.")] = [],  # noqa: B006
    minutes: Annotated[float, typer.Option(min=0.1, help="fleet: how long devices make records.")] = 10.0,
    devices: Annotated[int, typer.Option(min=1, max=1000, help="fleet: simulated devices, all in one process.")] = 200,
    period_ms: Annotated[int, typer.Option(min=1, max=60000, help="fleet: between two records of a device.")] = 50,
    poll_s: Annotated[float, typer.Option(min=0.01, max=60, help="fleet: the gateway's pause between two pulls of a device.")] = 0.5,
    queued: Annotated[int, typer.Option(min=1000, max=100_000_000, help="drain: records that wait when the cloud comes back.")] = 3_600_000,
    batch_records: Annotated[int, typer.Option(min=1, max=5000, help="drain: records in one delivery.")] = 2000,
    ack_s: Annotated[float, typer.Option(min=1, help="outbox: how long records are made for the latency.")] = 20.0,
    folder: Annotated[Path | None, typer.Option(help="On the disk that is meant; default: the temporary folder's.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """A gateway's figures, each with processes of its own; wall time: run it on an idle machine.

    outbox: durable records a second against a bare sqlite3 loop on the same disk in the same run, and latency of acknowledgements at 1,000
    records a second. fleet: many devices, processor time and memory of the gateway's process, nothing missing in the cloud. drain: an
    outage ends, and what is queued goes into the cloud of this machine by HTTP.
    """
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - keeps --help fast

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    results: dict[str, Any] = {}
    is_whole = True
    for name in [p for p in Part if p in part or not part]:
        with TemporaryDirectory(prefix=f"tinyfleet-bench-{name}-", dir=folder) as place:
            if name is Part.OUTBOX:
                outbox = _outbox(Path(place), ack_s, tell)
                results[name], facts = asdict(outbox), _outbox_facts(outbox)
            elif name is Part.FLEET:
                fleet = _fleet(Path(place), devices, period_ms, 60.0 * minutes, poll_s, tell)
                results[name], facts = asdict(fleet), _fleet_facts(fleet)
                is_whole = is_whole and not fleet.lost and not fleet.duplicated
            else:
                drain = _drain(Path(place), queued, batch_records, tell)
                results[name], facts = asdict(drain), _drain_facts(drain)
                is_whole = is_whole and not drain.lost and not drain.duplicated
        if not as_json:
            print_facts((f"{name} {what}", text) for what, text in facts)
    if as_json:
        print_json(results)
    if not is_whole:
        raise typer.Exit(1)


def _outbox(folder: Path, ack_s: float, tell: Callable[[str], None]) -> OutboxResult:
    from tinyfleet.bench.outbox import bench_outbox  # noqa: PLC0415 - the extra "gateway"

    return bench_outbox(folder, ack_s=ack_s, on_progress=tell)


def _fleet(folder: Path, devices: int, period_ms: int, seconds: float, poll_s: float, tell: Callable[[str], None]) -> FleetResult:
    from tinyfleet.bench.gateway_fleet import bench_fleet  # noqa: PLC0415

    return bench_fleet(devices, period_ms, seconds, folder, poll_s=poll_s, on_progress=tell)


def _drain(folder: Path, queued: int, batch_records: int, tell: Callable[[str], None]) -> DrainResult:
    from tinyfleet.bench.drain import bench_drain  # noqa: PLC0415

    return bench_drain(folder, queued=queued, batch_records=batch_records, on_progress=tell)


def _outbox_facts(r: OutboxResult) -> list[tuple[str, str]]:
    return [
        ("writes", f"{r.outbox_hz:,.0f} durable records a second in commits of {r.batch_records}"),
        ("against a bare loop", f"{r.ratio:g} of its {r.bare_hz:,.0f} a second (asked: 0.8)"),
        ("acknowledges", f"99 % within {r.ack_p99_ms:g} ms, half within {r.ack_p50_ms:g} ms, at {r.ack_hz:,.0f} a second (asked: 250 ms)"),
    ]


def _fleet_facts(r: FleetResult) -> list[tuple[str, str]]:
    return [
        ("devices", f"{r.devices}, {r.rate_hz:g} records a second each, {r.seconds:g} s"),
        ("records", f"{r.produced:,} produced, {r.stored:,} stored, {r.lost} lost, {r.duplicated} duplicated (asked: 0 lost)"),
        ("processor", f"{r.cpu_share:.1%} of a core, {r.cpu_us_per_record:g} us a record (asked: 60 %)"),
        ("memory", f"{r.rss_end_bytes / 2**20:.1f} MiB, {r.rss_growth:+.1%} in the last half (asked: below 5 %)"),
        ("outbox", f"at most {r.most_waiting:,} waiting, empty {r.drain_s:g} s after the last record"),
    ]


def _drain_facts(r: DrainResult) -> list[tuple[str, str]]:
    costs = f"gateway {r.gateway_us_per_record:g} us, cloud {r.cloud_us_per_record:g} us a record"
    return [
        ("rate", f"{r.drain_hz:,.0f} records a second, {r.queued:,} in {r.seconds:g} s, {r.batch_records} in a delivery (asked: 10,000)"),
        ("records", f"{r.stored:,} stored, {r.lost} lost, {r.duplicated} duplicated"),
        ("processor", costs),
        ("disk", f"{r.left_bytes / 2**20:.1f} MiB of outbox left (asked: 4 MiB)"),
    ]
