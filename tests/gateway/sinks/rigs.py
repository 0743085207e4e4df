"""One rig per sink: the sink, its real peer, and what the peer has in the end. The contract is tested on each of them."""

from __future__ import annotations

import asyncio
import json
import resource
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from confluent_kafka import Consumer, TopicPartition

from tests.gateway.sinks.batches import context
from tests.gateway.sinks.peers import GATEWAY, Fleet, LocalCloud, local_cloud, mqtt_ingest
from tests.support.patience import HANG_S
from tests.support.pki import Identity
from tinyfleet.cloud_events import RECORD_TYPE
from tinyfleet.demo.broker import Broker
from tinyfleet.demo.process import Process
from tinyfleet.gateway.sinks.file import FileSinkSettings, read_events
from tinyfleet.gateway.sinks.http import HttpSinkSettings
from tinyfleet.gateway.sinks.kafka import KafkaSinkSettings
from tinyfleet.gateway.sinks.mqtt import MqttSinkSettings
from tinyfleet.gateway.sinks.sink import Sink, SinkSettings
from tinyfleet.kafka_options import client_options


@dataclass(frozen=True, slots=True)
class Bench:
    """What rigs are made of."""

    folder: Path
    fleet: Fleet
    broker: Callable[[], Broker]
    """Starts it where it is needed."""
    kafka: Callable[[], Process]
    """The same."""


def nothing() -> Any:
    """What a rig does not need."""
    raise AssertionError


IMPATIENCE_S = 1.0
"""Time-out of a sink in a test where it must run out: it may also run out where the machine stands still, so the test tries again."""


class Rig(ABC):
    """One sink and its peer."""

    folder: Path
    impatient: ClassVar[Mapping[str, float]] = {"timeout_s": IMPATIENCE_S}
    """Settings with which a peer that does not answer is given up soon; none where the peer is nobody who can be late."""
    limits_batches: ClassVar[bool] = False
    """Whether 5001 records are too many at once."""

    @abstractmethod
    def settings(self, **changes: Any) -> SinkSettings:
        """The sink's table: time-outs that no stall of the machine exceeds, our own certificate."""

    def open(self, gateway_id: str = GATEWAY, **changes: Any) -> Sink:
        """A sink on the peer."""
        return self.settings(**changes).open(context(self.folder, gateway_id))

    @abstractmethod
    async def received(self) -> list[tuple[str, int]]:
        """(device, seq) of each record, in the order in which the peer took them first."""

    @abstractmethod
    async def stop_peer(self) -> None:
        """The peer is gone."""

    @abstractmethod
    async def start_peer(self) -> None:
        """It is there again, where it was."""

    @abstractmethod
    def hold_answers(self) -> None:
        """It takes what it gets and answers nothing from now on."""

    @abstractmethod
    def let_answers_go(self) -> None:
        """All that it was kept from saying goes out now."""


class _CloudRig(Rig):
    """A rig that ends in a cloud."""

    limits_batches = True

    def __init__(self, bench: Bench, cloud: LocalCloud) -> None:
        self.folder, self.fleet, self.cloud = bench.folder, bench.fleet, cloud

    async def received(self) -> list[tuple[str, int]]:
        rows = self.cloud.store.records(limit=100_000)
        return [(row.envelope.identity.device_id.hex(), row.envelope.identity.seq) for row in rows]

    async def stop_peer(self) -> None:
        await self.cloud.stop()

    async def start_peer(self) -> None:
        await self.cloud.start()

    def hold_answers(self) -> None:
        self.cloud.may_answer.clear()

    def let_answers_go(self) -> None:
        self.cloud.may_answer.set()


class HttpRig(_CloudRig):
    """HTTPS with a client certificate that the cloud asks for."""

    def settings(self, identity: Identity | None = None, **changes: Any) -> HttpSinkSettings:
        who = identity or self.fleet.gateway
        table = {
            "type": "http", "url": self.cloud.url, "timeout_s": HANG_S,
            "ca_file": str(self.fleet.ca), "cert_file": str(who.certificate), "key_file": str(who.key),
        }  # fmt: skip
        return HttpSinkSettings.model_validate(table | changes)


class MqttRig(_CloudRig):
    """mosquitto with certificates and access rules, an ingest behind it."""

    def __init__(self, bench: Bench, cloud: LocalCloud, broker: Broker) -> None:
        super().__init__(bench, cloud)
        self.broker = broker

    def settings(self, identity: Identity | None = None, **changes: Any) -> MqttSinkSettings:
        who = identity or self.fleet.gateway
        table = {
            "type": "mqtt", "url": self.broker.url, "timeout_s": HANG_S,
            "ca_file": str(self.fleet.ca), "cert_file": str(who.certificate), "key_file": str(who.key),
        }  # fmt: skip
        return MqttSinkSettings.model_validate(table | changes)


class FileRig(Rig):
    """A folder, and a file system that stops taking data."""

    impatient: ClassVar[Mapping[str, float]] = {}

    def __init__(self, bench: Bench) -> None:
        self.folder = bench.folder
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def settings(self, **changes: Any) -> FileSinkSettings:
        table = {"type": "file", "folder": "out", "max_file_bytes": 8192}
        return FileSinkSettings.model_validate(table | changes)

    def files(self) -> list[Path]:
        """All of them, in order, the unfinished one last."""
        return sorted((self.folder / "out").glob("gw*"))

    async def received(self) -> list[tuple[str, int]]:
        events = [event for path in self.files() for event in read_events(path)]
        return [(e["data"]["device_id"], e["data"]["seq"]) for e in events if e["type"] == RECORD_TYPE]

    async def stop_peer(self) -> None:
        # The kernel refuses every byte from here on, as it does on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, self._limit[1]))

    async def start_peer(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)

    def hold_answers(self) -> None:
        raise AssertionError("a file answers nothing")

    let_answers_go = hold_answers


class KafkaRig(Rig):
    """A broker in a process of its own; it is frozen where others are stopped, because it keeps nothing on a disk."""

    def __init__(self, bench: Bench) -> None:
        self.folder = bench.folder
        self.kafka = bench.kafka()
        self.topic = f"contract-{secrets.token_hex(4)}"
        self.url = f"kafka://{self.kafka.facts['bootstrap']}/{self.topic}"

    def settings(self, **changes: Any) -> KafkaSinkSettings:
        return KafkaSinkSettings.model_validate({"type": "kafka", "url": self.url, "timeout_s": HANG_S} | changes)

    def messages(self) -> list[Any]:
        """Every message of the topic, by partition."""
        options = client_options(self.url) | {"group.id": "witness", "enable.auto.commit": False}
        consumer = Consumer(options)
        try:
            partitions = consumer.list_topics(self.topic, timeout=HANG_S).topics[self.topic].partitions
            ends = {p: consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=HANG_S)[1] for p in partitions}
            consumer.assign([TopicPartition(self.topic, p, 0) for p in partitions])
            found: list[Any] = []
            while len(found) < sum(ends.values()):
                found += consumer.consume(1000, 0.1)
            return sorted(found, key=lambda m: (m.partition(), m.offset()))
        finally:
            consumer.close()

    async def received(self) -> list[tuple[str, int]]:
        events = [json.loads(m.value()) for m in await asyncio.to_thread(self.messages)]
        # Deliveries that were given up may be there twice; who reads decides by the identity, as a cloud does.
        return list(dict.fromkeys((e["data"]["device_id"], e["data"]["seq"]) for e in events if e["type"] == RECORD_TYPE))

    async def stop_peer(self) -> None:
        self.kafka.freeze()

    async def start_peer(self) -> None:
        self.kafka.thaw()

    def hold_answers(self) -> None:
        self.kafka.freeze()

    def let_answers_go(self) -> None:
        self.kafka.thaw()


@asynccontextmanager
async def kafka_rig(bench: Bench) -> AsyncIterator[KafkaRig]:
    """See :class:`KafkaRig`."""
    rig = KafkaRig(bench)
    try:
        yield rig
    finally:
        await rig.start_peer()


@asynccontextmanager
async def file_rig(bench: Bench) -> AsyncIterator[FileRig]:
    """See :class:`FileRig`."""
    rig = FileRig(bench)
    try:
        yield rig
    finally:
        await rig.start_peer()


@asynccontextmanager
async def http_rig(bench: Bench) -> AsyncIterator[Rig]:
    """See :class:`HttpRig`."""
    async with local_cloud(bench.folder / "cloud", (bench.fleet.server, bench.fleet.ca)) as cloud:
        yield HttpRig(bench, cloud)


@asynccontextmanager
async def mqtt_rig(bench: Bench) -> AsyncIterator[MqttRig]:
    """See :class:`MqttRig`."""
    broker = bench.broker()
    async with local_cloud(bench.folder / "cloud") as cloud, mqtt_ingest(broker, bench.fleet, cloud):
        yield MqttRig(bench, cloud, broker)


RIGS: dict[str, Callable[[Bench], AbstractAsyncContextManager[Rig]]] = {
    "http": http_rig,
    "mqtt": mqtt_rig,
    "file": file_rig,
    "kafka": kafka_rig,
}
"""By the sink's type; a test sees that none is missing."""
