"""MQTT in particular: who is refused, what a broker may lose, what others see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.sinks.batches import Source, entries
from tests.gateway.sinks.peers import GATEWAY, OTHER_GATEWAY, Fleet, stored
from tests.gateway.sinks.rigs import IMPATIENCE_S, Bench, MqttRig, mqtt_rig, nothing
from tests.gateway.sinks.test_contract import identities, until_delivered, until_given_up
from tests.support.patience import HANG_S
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.cloud_events import Encoding
from tinyfleet.demo.broker import Broker
from tinyfleet.gateway.sinks.sink import Delivered
from tinyfleet.mqtt import MqttConnection, MqttEndpoint, connect
from tinyfleet.mqtt_topics import ack_topic, status_topic, telemetry_topic
from tinyfleet.telemetry import Batch
from tinyfleet_codegen.errors import SinkError

BOTH = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@pytest.fixture
async def rig(broker: Broker, fleet: Fleet, tmp_path: Path) -> AsyncIterator[MqttRig]:
    async with mqtt_rig(Bench(tmp_path, fleet, lambda: broker, nothing)) as made:
        yield made


async def reader(rig: MqttRig) -> MqttConnection:
    """A client that may see everything."""
    credentials = Credentials(rig.fleet.ca, rig.fleet.reader.certificate, rig.fleet.reader.key)
    return await connect(MqttEndpoint("localhost", rig.broker.port, tls=credentials.tls()), client_id="reader")


@BOTH
@pytest.mark.parametrize("encoding", list(Encoding))
async def test_both_protocols_and_encodings_arrive(rig: MqttRig, protocol: str, encoding: Encoding) -> None:
    source = Source(GATEWAY, devices=2)
    sink = rig.open(protocol=protocol, encoding=encoding.value)
    batch = source.batch(10, derived=1)
    assert await sink.deliver(batch) == Delivered(entries(batch))
    await sink.close()
    assert len(await rig.received()) == 10


@BOTH
@pytest.mark.parametrize("who", ["nobody", "wrong authority", "expired", "of a broker that is not ours"])
async def test_who_has_no_valid_certificate_is_refused(rig: MqttRig, who: str, protocol: str) -> None:
    fleet = rig.fleet
    changes: dict[str, Any] = {
        "nobody": {"cert_file": None, "key_file": None},
        "wrong authority": {"identity": fleet.foreign},
        "expired": {"identity": fleet.expired},
        "of a broker that is not ours": {"ca_file": str(fleet.foreign_ca)},
    }[who]
    sink = rig.open(protocol=protocol, **changes)
    with pytest.raises(SinkError, match="connect"):
        await sink.deliver(Source(GATEWAY).batch(3))
    await sink.close()
    assert await rig.received() == []


async def test_topics_of_another_gateway_are_refused_by_the_broker(rig: MqttRig) -> None:
    sink = rig.open(OTHER_GATEWAY)  # with the certificate of GATEWAY
    with pytest.raises(SinkError, match="Not authorized") as refusal:
        await sink.deliver(Source(OTHER_GATEWAY).batch(3))
    assert refusal.value.hint is not None and "access list" in refusal.value.hint
    await sink.close()
    # A broker of 3.1.1 cannot say so: it takes the message, throws it away, and nobody acknowledges it.
    old = rig.open(OTHER_GATEWAY, protocol="3.1.1", timeout_s=IMPATIENCE_S)
    await until_given_up(old, Source(OTHER_GATEWAY).batch(3), "not acknowledged")
    await old.close()
    assert await rig.received() == []


async def test_events_of_another_gateway_on_ones_own_topic_are_refused_by_the_cloud(rig: MqttRig) -> None:
    sink = rig.open()
    stolen = Source(OTHER_GATEWAY).batch(2)
    disguised = Batch(GATEWAY, stolen.outbox_id, stolen.envelopes)
    delivered = await sink.deliver(disguised)
    assert delivered.accepted == frozenset() and len(delivered.refused) == 2
    assert "gateway gw-2 from gateway gw-1" in delivered.refused[0][1]
    await sink.close()
    assert await rig.received() == []


@BOTH
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_broker_that_restarts_loses_and_doubles_nothing(rig: MqttRig, how: str, protocol: str) -> None:
    source = Source(GATEWAY, devices=2)
    sink = rig.open(protocol=protocol, timeout_s=IMPATIENCE_S)
    batches = [source.batch(20) for _ in range(12)]

    async def deliver_all() -> None:
        for batch in batches:
            assert await until_delivered(sink, batch) == Delivered(entries(batch))

    delivering = asyncio.create_task(deliver_all())
    for count in (60, 160):
        while len(await rig.received()) < count and not delivering.done():  # noqa: ASYNC110 - the cloud's database changes
            await asyncio.sleep(0.002)
        await asyncio.to_thread(rig.broker.stop if how == "SIGTERM" else rig.broker.kill)
        await asyncio.to_thread(rig.broker.start)
    await asyncio.wait_for(delivering, HANG_S)
    await sink.close()
    totals = rig.cloud.store.totals()
    assert sorted(await rig.received()) == sorted(identities(source))
    assert (totals["stored"], totals["duplicated"], totals["alarms"], totals["refused"]) == (240, 0, 0, 0)


async def test_puback_alone_is_not_believed(broker: Broker, fleet: Fleet, tmp_path: Path) -> None:
    bench = Bench(tmp_path, fleet, lambda: broker, nothing)
    async with mqtt_rig(bench) as rig:
        pass  # its ingest has ended: the broker takes messages that nobody commits
    sink = rig.open(timeout_s=IMPATIENCE_S)
    error = await until_given_up(sink, Source(GATEWAY).batch(3), "not acknowledged")
    assert error.hint is not None and "cloud ingest" in error.hint
    await sink.close()


async def test_status_is_retained_and_the_last_will_tells_of_a_gateway_that_died(rig: MqttRig) -> None:
    async def until(seen: MqttConnection, state: str) -> None:
        async with asyncio.timeout(HANG_S):
            while json.loads((await seen.receive())[1])["state"] != state:
                pass

    async def becomes(state: str) -> None:
        """For who asks only now: it is retained."""
        seen = await reader(rig)
        await seen.subscribe(status_topic(GATEWAY))
        await until(seen, state)
        await seen.close()

    sink = rig.open()
    await sink.deliver(Source(GATEWAY).batch(1))
    await becomes("online")
    await sink.close()
    await becomes("offline")

    again = rig.open()
    await again.deliver(Source(GATEWAY).batch(1))
    await becomes("online")
    connection = again._session.connection  # type: ignore[attr-defined]
    watcher = await reader(rig)
    await watcher.subscribe(status_topic(GATEWAY))
    await until(watcher, "online")
    connection._client.socket().shutdown(2)
    await until(watcher, "offline")
    await watcher.close()
    await again.close()


async def test_forged_and_foreign_acknowledgements_are_ignored(rig: MqttRig) -> None:
    rig.hold_answers()
    forger = await reader(rig)  # the access rules give only the cloud's identity this topic
    sink = rig.open()
    batch = Source(GATEWAY).batch(5)
    delivering = asyncio.create_task(sink.deliver(batch))
    await stored(rig.cloud, 5)  # so the sink listens for the answer
    for payload in (b"", b"null", b"[]", b'{"message": 7}', json.dumps({"message": "00" * 32, "version": 1, "acknowledged": []}).encode()):
        await forger.publish(ack_topic(GATEWAY), payload)
    assert not delivering.done()
    rig.let_answers_go()
    assert await delivering == Delivered(entries(batch))
    await forger.close()
    await sink.close()


async def test_acknowledgement_that_nobody_can_read_does_not_end_the_reading(rig: MqttRig) -> None:
    source = Source(GATEWAY)
    sink = rig.open()
    assert len((await sink.deliver(source.batch(1))).accepted) == 1
    cloud = await reader(rig)
    for payload in (b"[" * 100_000, b"\xff", b"", b"[1, 2]", b'{"message": [[]]}', b'{"message": 5}'):
        await cloud.publish(ack_topic(GATEWAY), payload)
    await cloud.close()
    batch = source.batch(5)
    assert await sink.deliver(batch) == Delivered(entries(batch))
    await sink.close()


async def test_ingest_survives_what_is_no_batch(rig: MqttRig) -> None:
    client = await reader(rig)
    for payload in (b"", b"{", b"[", b"\x81" * 5000, b"[1, 2]", b"\x80", b"[]"):
        await client.publish(telemetry_topic(GATEWAY, None), payload)
    await client.close()
    sink = rig.open()
    batch = Source(GATEWAY).batch(5)
    assert await until_delivered(sink, batch) == Delivered(entries(batch))
    await sink.close()
