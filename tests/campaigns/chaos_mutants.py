"""The bugs that the no-loss campaign must see: ``tinyfleet`` with one of them, as a process of its own.

::

    python -m tests.campaigns.chaos_mutants cursor_first gateway run gateway.toml --json

Each opens a window in which a kill loses records. The file that ``TINYFLEET_MUTANT_DIES`` names, while it is there, makes the process
die by SIGKILL in that window, once: then a test needs no luck.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WINDOW_S = 0.1


def window() -> None:
    """A moment in which a kill does damage."""
    trigger = os.environ.get("TINYFLEET_MUTANT_DIES")
    if trigger and Path(trigger).exists():
        Path(trigger).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    select.select([], [], [], WINDOW_S)  # time.sleep fails under libfaketime


def cursor_first() -> None:
    """The gateway moves a device's cursor, and commits the records after that."""
    from tinyfleet.gateway import store_thread  # noqa: PLC0415
    from tinyfleet.gateway.outbox import Outbox  # noqa: PLC0415

    store_thread.GROUP_CALLS = 1  # together with others it would be one transaction after all
    intact = Outbox.append

    def append(self: Outbox, device_id: bytes, boot_id: int, records: Sequence[Any], *, next_seq: int, **named: Any) -> Any:
        intact(self, device_id, boot_id, [], next_seq=next_seq, **named)
        if records:
            window()
        return intact(self, device_id, boot_id, records, since=next_seq, next_seq=next_seq, lost=0)

    Outbox.append = append  # type: ignore[method-assign]


def freed_before_ack() -> None:
    """The gateway frees what it is about to deliver."""
    from tinyfleet.gateway.sinks.http import HttpSink  # noqa: PLC0415

    _deliver_later(HttpSink)


def believes_its_own_queue() -> None:
    """The gateway takes what it handed to Kafka's library for what brokers have."""
    from tinyfleet.gateway.sinks.kafka import KafkaSink  # noqa: PLC0415

    _deliver_later(KafkaSink)


def _deliver_later(kind: Any) -> None:
    from tinyfleet.gateway.sinks.sink import Delivered  # noqa: PLC0415
    from tinyfleet.telemetry import Batch  # noqa: PLC0415

    intact = kind.deliver
    tasks = set()

    async def late(self: Any, batch: Batch) -> None:
        await asyncio.sleep(WINDOW_S)
        if batch.records:
            window()
        await intact(self, batch)

    async def deliver(self: Any, batch: Batch) -> Delivered:
        task = asyncio.create_task(late(self, batch))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return Delivered(accepted=frozenset(e.entry for e in batch.envelopes))

    kind.deliver = deliver


def offsets_first() -> None:
    """An ingest says that it has read what it has yet to forward."""
    from tinyfleet.cloud.ingest import kafka  # noqa: PLC0415

    intact = kafka._forward
    tasks = set()

    async def late(*arguments: Any) -> None:
        await asyncio.sleep(WINDOW_S)
        window()
        await intact(*arguments)

    async def forward(*arguments: Any) -> None:
        task = asyncio.create_task(late(*arguments))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    kafka._forward = forward  # type: ignore[assignment]


def ack_before_commit() -> None:
    """The cloud answers, and commits when it is asked the next time."""
    from tinyfleet.cloud.store import CloudStore, Ingested  # noqa: PLC0415

    intact, totals = CloudStore.ingest, CloudStore.totals
    waiting: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def commit(self: CloudStore) -> None:
        while waiting:
            arguments, named = waiting[0]
            intact(self, *arguments, **named)
            del waiting[0]

    def ingest(self: CloudStore, *arguments: Any, **named: Any) -> Ingested:
        if waiting:
            window()
        commit(self)
        waiting.append((arguments, named))
        return Ingested(len(arguments[0]), 0, 0, 0, 0)

    def counted(self: CloudStore) -> dict[str, int]:
        commit(self)
        return totals(self)

    CloudStore.ingest = ingest  # type: ignore[method-assign]
    CloudStore.totals = counted  # type: ignore[method-assign]


MUTANTS: dict[str, tuple[str, Callable[[], None]]] = {
    "cursor_first": ("gateway", cursor_first),
    "freed_before_ack": ("gateway", freed_before_ack),
    "ack_before_commit": ("cloud", ack_before_commit),
    "believes_its_own_queue": ("gateway", believes_its_own_queue),
    "offsets_first": ("ingest_kafka", offsets_first),
}
"""Name -> whose bug it is, and what brings it in."""


def route_of(mutant: str | None) -> str:
    """On which way to a cloud it can be seen."""
    return "kafka" if mutant in ("believes_its_own_queue", "offsets_first") else "http"


def main() -> int:
    """Bring the bug in, then be ``tinyfleet``."""
    name, *words = sys.argv[1:]
    MUTANTS[name][1]()
    sys.argv = ["tinyfleet", *words]
    from tinyfleet.cli.app import main as tinyfleet_main  # noqa: PLC0415

    return tinyfleet_main()


if __name__ == "__main__":
    raise SystemExit(main())
