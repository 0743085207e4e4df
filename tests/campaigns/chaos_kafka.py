"""A Kafka cluster of the campaign: frozen, and killed with all that it holds, which is read first by somebody who is neither end."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.campaigns.chaos_lines import BoardLine
from tests.support.no_loss import Boot, Declared, Holdings, Range
from tinyfleet.cloud_events import DERIVED_TYPE, LOSS_TYPE, RECORD_TYPE
from tinyfleet.demo.kafka_broker import start_kafka
from tinyfleet.demo.process import Process
from tinyfleet.gateway.outbox_schema import GAP
from tinyfleet.kafka_options import DEFAULT_TOPIC

_READ_TIMEOUT_S = 20.0


class Cluster:
    """librdkafka's mock cluster behind an address that stays; it has no disk, so each kill takes what nobody has read.

    Attributes:
        gone: Events that it held when it was killed and that were not in the cloud, over all kills.
    """

    def __init__(self, logs: Path) -> None:
        self.gone: list[dict[str, Any]] = []
        self._is_frozen = False
        self._log = logs / "kafka.log"
        self._line = BoardLine()
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Where clients begin; the cluster then tells them where it is now."""
        return f"kafka://{self._line.url.removeprefix('tcp://')}"

    async def open(self) -> None:
        """Take the address and start."""
        await self._line.open()
        await self.start()

    async def start(self) -> None:
        """Start an empty one."""
        self._process = await asyncio.to_thread(start_kafka, self._log)
        self._line.lead_to(int(self._process.facts["bootstrap"].rpartition(":")[2]))

    @property
    def process(self) -> Process:
        """The one that runs."""
        assert self._process is not None
        return self._process

    def freeze(self) -> Callable[[], None]:
        """SIGSTOP; what this returns undoes it."""
        process = self.process
        process.freeze()
        self._is_frozen = True

        def thaw() -> None:
            process.thaw()
            self._is_frozen = False

        return thaw

    async def kill(self, on_disk: Callable[[], Holdings]) -> bool:
        """SIGKILL, after everything in it was read; nobody may be producing. False: it cannot be read now.

        Args:
            on_disk: What the cloud has.
        """
        if self._is_frozen:
            return False
        events = await asyncio.to_thread(_all_events, self.process.facts["bootstrap"])
        self.gone += not_in(events, await asyncio.to_thread(on_disk))
        await self.end()
        return True

    async def end(self) -> None:
        """SIGKILL."""
        self._line.lead_to(None)
        await asyncio.to_thread(self.process.kill)

    async def close(self) -> None:
        """End it."""
        await self.end()
        await self._line.close()


def _all_events(bootstrap: str) -> list[dict[str, Any]]:
    """What a consumer of its own finds in the topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "witness", "enable.auto.commit": False, "log_level": 0})
    try:
        topic = consumer.list_topics(DEFAULT_TOPIC, timeout=10).topics[DEFAULT_TOPIC]
        consumer.assign([TopicPartition(DEFAULT_TOPIC, p, OFFSET_BEGINNING) for p in topic.partitions])
        events: list[dict[str, Any]] = []
        count = 0
        deadline = time.monotonic() + _READ_TIMEOUT_S
        while count < (in_topic := _in_topic(consumer, topic.partitions)):
            count = in_topic  # what was on its way to it when its producers stopped may come while this reads
            while len(events) < count:
                events += [json.loads(m.value()) for m in consumer.consume(1000, 0.1) if m.error() is None]
                assert time.monotonic() < deadline, f"read {len(events)} of {count} events before the cluster's end"
        return events
    finally:
        consumer.close()


def _in_topic(consumer: Consumer, partitions: Iterable[int]) -> int:
    marks = [consumer.get_watermark_offsets(TopicPartition(DEFAULT_TOPIC, p), timeout=10) for p in partitions]
    return sum(high - low for low, high in marks)


def not_in(events: list[dict[str, Any]], cloud: Holdings) -> list[dict[str, Any]]:
    """Events without the records that a cloud has."""

    def is_there(event: dict[str, Any]) -> bool:
        data = event["data"]
        if event["type"] != RECORD_TYPE:
            return False  # few, and looked at when all is judged
        return data["seq"] in cloud.records.get((bytes.fromhex(data["device_id"]), data["boot_id"]), {})

    return [event for event in events if not is_there(event)]


def records_in(events: list[dict[str, Any]]) -> int:
    """How many records they are, or stand for."""
    alone = {(e["data"]["device_id"], e["data"]["boot_id"], e["data"]["seq"]) for e in events if e["type"] == RECORD_TYPE}
    windows = {(e["data"]["kind"], e["data"]["number"]): e["data"]["count"] for e in events if e["type"] == DERIVED_TYPE}
    return len(alone) + sum(count for (kind, _), count in windows.items() if kind != GAP)


def missing_in(events: list[dict[str, Any]], cloud: Holdings) -> Holdings:
    """What of those events a cloud does not have: only they can have gone with a cluster. Totals replace earlier ones, as in a cloud."""
    records: dict[Boot, dict[int, int]] = defaultdict(dict)
    derived: dict[tuple[str, int], tuple[Boot, Range]] = {}
    declared: dict[Boot, Declared] = {}
    for event in events:
        data = event["data"]
        if data["device_id"] is None:
            continue
        boot = bytes.fromhex(data["device_id"]), int(data["boot_id"])
        if event["type"] == RECORD_TYPE:
            if data["seq"] not in cloud.records.get(boot, {}):
                records[boot][data["seq"]] = zlib.crc32(base64.b64decode(data["record"]))
        elif event["type"] == DERIVED_TYPE:
            found = Range(data["kind"], data["first_seq"], data["last_seq"], data["count"])
            if found.first is not None and found not in cloud.ranges.get(boot, ()):
                derived[data["kind"], data["number"]] = boot, found
        elif event["type"] == LOSS_TYPE:
            known = declared.get(boot, cloud.declared.get(boot, Declared()))
            declared[boot] = Declared(*(max(getattr(known, name), data[name]) for name in ("lost", "dropped", "filtered")))
    ranges: dict[Boot, list[Range]] = defaultdict(list)
    for boot, found in derived.values():
        ranges[boot].append(found)
    return Holdings(records, declared, ranges)
