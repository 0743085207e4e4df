"""Kafka in particular: keys, headers, the way into a cloud, and what the library is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.gateway.sinks.batches import Source, context, entries
from tests.gateway.sinks.peers import GATEWAY, Fleet, LocalCloud, local_cloud, stored
from tests.gateway.sinks.rigs import Bench, KafkaRig, nothing
from tests.gateway.sinks.test_contract import identities, per_device
from tests.support.patience import HANG_S
from tinyfleet.cloud.ingest import find_source
from tinyfleet.cloud.ingest.forward import Forwarder
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.cloud_events import SCHEMA, Encoding
from tinyfleet.demo.process import Process
from tinyfleet.gateway.sinks.kafka import KafkaSinkSettings
from tinyfleet.kafka_options import kafka_address


@pytest.fixture
def rig(tmp_path: Path, fleet: Fleet, kafka: Process) -> KafkaRig:
    return KafkaRig(Bench(tmp_path, fleet, nothing, lambda: kafka))


@asynccontextmanager
async def ingest(url: str, cloud: LocalCloud) -> AsyncIterator[None]:
    """What brings a topic into a cloud; ends as if it were killed between two batches."""
    async with Forwarder(cloud.url, token=None) as forwarder:
        ready = asyncio.Event()
        task = asyncio.ensure_future(find_source(url)(url, Credentials(), forwarder, ready.set))
        try:
            await asyncio.wait_for(ready.wait(), HANG_S)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("encoding", list(Encoding))
async def test_device_is_the_key_and_the_schema_is_in_the_headers(rig: KafkaRig, encoding: Encoding) -> None:
    source = Source(GATEWAY, devices=3)
    sink = rig.open(encoding=encoding.value)
    await sink.deliver(source.batch(30, derived=1, reports=[source.report(1)]))
    await sink.close()
    messages = await asyncio.to_thread(rig.messages)
    assert len(messages) == 32
    assert {m.key().decode() for m in messages} == {b.device_id.hex() for b in source.boards}
    partitions: dict[bytes, set[int]] = {}
    for m in messages:
        partitions.setdefault(m.key(), set()).add(m.partition())
        assert dict(m.headers()) == {"content-type": encoding.event_type.encode(), "schema-id": SCHEMA.encode()}
    assert all(len(p) == 1 for p in partitions.values())


async def test_ingest_brings_all_into_the_cloud_and_survives_what_is_no_event(rig: KafkaRig, tmp_path: Path) -> None:
    source = Source(GATEWAY, devices=2)
    sinks = [rig.open(encoding=encoding.value) for encoding in Encoding]
    async with local_cloud(tmp_path / "cloud") as cloud, ingest(rig.url, cloud):
        for sink in sinks:
            await sink.deliver(source.batch(50, derived=1, reports=[source.report(7)]))
        stranger = Producer({"bootstrap.servers": rig.kafka.facts["bootstrap"], "log_level": 0})
        for value in (b"", b"{", b"\xff", b"{}", b"[]", b'],["', b"null"):
            stranger.produce(rig.topic, value=value)
        stranger.flush(HANG_S)
        cloud.status = 500  # it fails for a moment, and nothing is left out
        await sinks[0].deliver(source.batch(50))
        cloud.status = None
        await stored(cloud, 150)
        for sink in sinks:
            await sink.close()
        totals = cloud.store.totals()
        rows = [(r.envelope.identity.device_id.hex(), r.envelope.identity.seq) for r in cloud.store.records(limit=1000)]
    assert {d: sorted(s) for d, s in per_device(rows).items()} == per_device(identities(source))
    assert (totals["derived"], totals["lost"], totals["duplicated"], totals["alarms"]) == (2, 7, 0, 0)


async def test_event_that_no_broker_takes_is_refused_alone(rig: KafkaRig) -> None:
    source = Source(GATEWAY)
    sink = rig.open()
    batch = source.batch(3)
    sink._options["message.max.bytes"] = 1000  # type: ignore[attr-defined]
    sink._open()  # type: ignore[attr-defined]
    huge = source.batch(0, derived=1).envelopes[0]
    large = type(huge)(**{name: getattr(huge, name) for name in huge.__slots__} | {"body": b'{"x":"' + b"y" * 2000 + b'"}'})  # type: ignore[arg-type]
    delivered = await sink.deliver(type(batch)(batch.gateway_id, batch.outbox_id, (*batch.envelopes, large)))
    assert delivered.accepted == entries(batch)
    assert [entry for entry, _ in delivered.refused] == [huge.entry]
    await sink.close()


@pytest.mark.parametrize("url", ["kafka://a", "kafka://a:1:2", "http://a:1", "kafka://a:1,/t", "kafka://u:p@a:1", "kafka://a:1/t/u"])
def test_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not such a URL"):
        kafka_address(url)


async def test_tls_and_user_reach_the_library(tmp_path: Path, fleet: Fleet) -> None:
    (tmp_path / "password").write_text("s3cret\n", encoding="utf-8")
    table: dict[str, Any] = {
        "type": "kafka", "url": "kafkas://localhost:9/topic", "username": "gw", "password_file": "password",
        "sasl_mechanism": "SCRAM-SHA-256",
        "ca_file": str(fleet.ca), "cert_file": str(fleet.gateway.certificate), "key_file": str(fleet.gateway.key), "timeout_s": 0.3,
    }  # fmt: skip
    settings = KafkaSinkSettings.model_validate(table)
    assert settings.problem() is None and "s3cret" not in settings.describe() and not settings.holds
    assert KafkaSinkSettings.model_validate(table | {"hold": True}).holds
    sink = settings.open(context(tmp_path, GATEWAY))
    wanted = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "gw", "sasl.password": "s3cret"}
    assert wanted.items() <= sink._options.items()
    with pytest.raises(Exception, match="cannot deliver to kafkas"):
        await sink.deliver(Source(GATEWAY).batch(1))
    await sink.close()
