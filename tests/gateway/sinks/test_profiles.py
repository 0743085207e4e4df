"""Brokers of others: AWS IoT Core, Azure IoT Hub, Sparkplug B. Each against mosquitto, the test in the place of the service behind it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.gateway.processes import wait_until
from tests.gateway.sinks.batches import Source, context, entries, largest_window
from tests.gateway.sinks.peers import GATEWAY
from tests.gateway.sinks.rigs import IMPATIENCE_S
from tests.gateway.sinks.test_contract import until_given_up
from tests.support.patience import HANG_S
from tinyfleet import sparkplug
from tinyfleet.cloud_events import Encoding, LossEvent, decode_events, read_event
from tinyfleet.demo.broker import Broker
from tinyfleet.gateway.sinks.aws_iot import AwsIotSinkSettings
from tinyfleet.gateway.sinks.azure_iot import AzureIotSinkSettings, shared_access_signature
from tinyfleet.gateway.sinks.sink import BatchTooLarge, Delivered, Delivery, Sink, SinkSettings
from tinyfleet.gateway.sinks.sparkplug_b import SparkplugSinkSettings
from tinyfleet.mqtt import MqttConnection, MqttEndpoint, connect
from tinyfleet.mqtt_topics import mqtt_address
from tinyfleet_codegen.errors import ConfigError, SinkError


@pytest.fixture(scope="module")
def plain_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("plain") / "broker") as broker:
        yield broker


class Service:
    """Sees every message on some topics, and may answer."""

    def __init__(self, connection: MqttConnection) -> None:
        self.connection = connection
        self.seen: list[tuple[str, bytes]] = []

    async def run(self, answer: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
        while True:
            topic, payload = await self.connection.receive()
            self.seen.append((topic, payload))
            reply = answer(topic, payload)
            if reply is not None:
                await self.connection.publish(*reply)

    async def until(self, count: int) -> list[tuple[str, bytes]]:
        """The messages, when there are so many."""
        async with asyncio.timeout(HANG_S):
            while len(self.seen) < count:  # noqa: ASYNC110 - a list grows
                await asyncio.sleep(0.01)
        return self.seen


@asynccontextmanager
async def service(
    broker: Broker, *topics: str, answer: Callable[[str, bytes], tuple[str, bytes] | None] = lambda _topic, _payload: None
) -> AsyncIterator[Service]:
    host, port, _ = mqtt_address(broker.url)
    connection = await connect(MqttEndpoint(host, port), client_id=f"service-{id(topics)}")
    await connection.subscribe(*topics)
    made = Service(connection)
    running = asyncio.create_task(made.run(answer))
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await connection.close()


def opened(kind: type[SinkSettings], broker: Broker, folder: Path, **table: Any) -> Sink:
    settings = kind.model_validate({"url": broker.url, "timeout_s": HANG_S} | table)
    assert settings.delivery is Delivery.BROKER and not settings.holds and settings.problem() is None
    return settings.open(context(folder, GATEWAY))


def records_in(payload: bytes) -> list[tuple[bytes, int]]:
    events = [read_event(e, Encoding.JSON) for e in decode_events(payload, Encoding.JSON)]
    return [(e.identity.device_id, e.identity.seq) for e in events if hasattr(e, "identity")]


async def test_aws_shadow_is_accepted_and_events_go_to_a_topic_for_rules(plain_broker: Broker, tmp_path: Path) -> None:
    def shadow(topic: str, payload: bytes) -> tuple[str, bytes] | None:
        if not topic.endswith("/update"):
            return None
        document = json.loads(payload)
        return f"{topic}/accepted", json.dumps({"clientToken": document["clientToken"], "state": document["state"], "version": 1}).encode()

    source = Source(GATEWAY, devices=2)
    async with service(plain_broker, "dt/#", "$aws/things/+/shadow/name/+/update", answer=shadow) as aws:
        sink = opened(AwsIotSinkSettings, plain_broker, tmp_path, type="aws_iot")
        batch = source.batch(20, derived=1)
        assert await sink.deliver(batch) == Delivered(entries(batch))
        seen = dict(await aws.until(4))
        with pytest.raises(BatchTooLarge):
            await sink.deliver(source.batch(600))
        await sink.close()
    for board in source.boards:
        device = board.device_id.hex()
        assert [seq for _, seq in records_in(seen[f"dt/tinyfleet/{GATEWAY}/{device}"])] == list(range(10))
        reported = json.loads(seen[f"$aws/things/{GATEWAY}/shadow/name/{device}/update"])["state"]["reported"]
        assert (reported["seq"], reported["boot_id"], reported["latency_us"]) == (9, 1, 909)


async def test_aws_shadow_that_is_rejected_or_silent_is_a_failure(plain_broker: Broker, tmp_path: Path) -> None:
    def refuse(topic: str, payload: bytes) -> tuple[str, bytes] | None:
        token = json.loads(payload)["clientToken"]
        return f"{topic}/rejected", json.dumps({"clientToken": token, "code": 403, "message": "Forbidden"}).encode()

    async with service(plain_broker, "$aws/things/+/shadow/name/+/update", answer=refuse):
        sink = opened(AwsIotSinkSettings, plain_broker, tmp_path, type="aws_iot")
        with pytest.raises(SinkError, match="403 Forbidden"):
            await sink.deliver(Source(GATEWAY).batch(1))
        await sink.close()
    silent = opened(AwsIotSinkSettings, plain_broker, tmp_path, type="aws_iot", timeout_s=IMPATIENCE_S)
    await until_given_up(silent, Source(GATEWAY).batch(1), "did not answer an update of a shadow")
    await silent.close()


async def test_aws_has_no_more_updates_of_shadows_under_way_than_the_service_allows(plain_broker: Broker, tmp_path: Path) -> None:
    held: list[tuple[str, bytes]] = []
    most = 0

    def hold(topic: str, payload: bytes) -> None:
        held.append((f"{topic}/accepted", json.dumps({"clientToken": json.loads(payload)["clientToken"]}).encode()))

    async with service(plain_broker, "$aws/things/+/shadow/name/+/update", answer=hold) as aws:
        sink = opened(AwsIotSinkSettings, plain_broker, tmp_path, type="aws_iot")
        delivering = asyncio.create_task(sink.deliver(Source(GATEWAY, devices=25).batch(25)))
        while not delivering.done():
            await asyncio.sleep(0.2)
            most = max(most, len(held))
            answers, held[:] = list(held), []
            for answer in answers:
                await aws.connection.publish(*answer)
        await delivering
        await sink.close()
    assert 1 < most <= 10


@pytest.mark.parametrize(
    "table",
    [
        {"thing": "a.b"},
        {"topic": "a/b/c/d/e/f/g"},
        {"topic": "\N{GREEK SMALL LETTER ALPHA}" * 101, "thing": "t" * 128},
        {"keepalive_s": 1201},
        {"keepalive_s": 5},
    ],
)
def test_what_aws_would_not_take_is_refused_by_the_configuration(table: dict[str, Any], tmp_path: Path) -> None:
    good = {"type": "aws_iot", "url": "mqtts://x.example", "cert_file": "c", "key_file": "k"}
    assert AwsIotSinkSettings.model_validate(good).problem() is None
    try:
        problem = AwsIotSinkSettings.model_validate(good | table).problem()
    except ValueError as error:
        problem = str(error)
    assert problem is not None and next(iter(table)) in problem


def test_gateway_whose_id_is_no_name_of_a_thing_must_name_one(tmp_path: Path) -> None:
    settings = AwsIotSinkSettings.model_validate({"type": "aws_iot", "url": "mqtt://x.example"})
    with pytest.raises(ConfigError, match="thing"):
        settings.open(context(tmp_path, "hall.3"))


def losses_in(service: Service) -> list[int]:
    events = [read_event(e, Encoding.JSON) for _, payload in service.seen for e in decode_events(payload, Encoding.JSON)]
    return [e.report.lost for e in events if isinstance(e, LossEvent)]


async def test_losses_reach_services_that_have_a_place_for_events(plain_broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(base64.b64encode(b"0123456789abcdef").decode(), encoding="utf-8")
    sinks: list[tuple[type[SinkSettings], dict[str, Any]]] = [
        (AwsIotSinkSettings, {"type": "aws_iot", "shadow": False}),
        (AzureIotSinkSettings, {"type": "azure_iot", "key_base64_file": "key", "hub": "h.example"}),
    ]
    for kind, table in sinks:
        source = Source(GATEWAY)
        async with service(plain_broker, "dt/#", "devices/#") as seen:
            sink = opened(kind, plain_broker, tmp_path, **table)
            await sink.deliver(source.batch(2, reports=[source.report(7)]))
            await sink.deliver(source.batch(0, reports=[source.report(9)]))
            await wait_until(lambda seen=seen: len(losses_in(seen)) >= 2, "both losses")
            await sink.close()
        assert losses_in(seen) == [7, 9], table["type"]


async def test_azure_speaks_as_a_device_of_a_hub(plain_broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(base64.b64encode(b"0123456789abcdef").decode() + "\n", encoding="utf-8")
    source = Source(GATEWAY, devices=2)
    async with service(plain_broker, "devices/#") as hub:
        sink = opened(AzureIotSinkSettings, plain_broker, tmp_path, type="azure_iot", key_base64_file="key", hub="h.example")
        batch = source.batch(10)
        assert await sink.deliver(batch) == Delivered(entries(batch))
        seen = await hub.until(2)
        endpoint = sink._session._endpoint()  # type: ignore[attr-defined]
        await sink.close()
    assert (endpoint.username, endpoint.is_v5) == (f"h.example/{GATEWAY}/?api-version=2021-04-12", False)
    assert endpoint.password.startswith("SharedAccessSignature sr=h.example%2Fdevices%2Fgw-1&sig=")
    bags = [dict(pair.split("=") for pair in topic.removeprefix(f"devices/{GATEWAY}/messages/events/").split("&")) for topic, _ in seen]
    assert {unquote(bag["source"]) for bag in bags} == {b.device_id.hex() for b in source.boards}
    assert {unquote(bag["%24.ct"]) for bag in bags} == {Encoding.JSON.batch_type}
    assert sum(len(records_in(payload)) for _, payload in seen) == 10


def test_azure_signature_is_as_the_service_computes_it() -> None:
    # HMAC by its definition (RFC 2104), of what the service's documentation says is signed.
    text, key = b"hub.example%2Fdevices%2Fgw\n1700000000", b"key".ljust(64, b"\0")
    inner = hashlib.sha256(bytes(k ^ 0x36 for k in key) + text).digest()
    expected = hashlib.sha256(bytes(k ^ 0x5C for k in key) + inner).digest()
    signature = shared_access_signature("hub.example", "gw", b"key", expiry_s=1_700_000_000)
    assert signature.startswith("SharedAccessSignature sr=hub.example%2Fdevices%2Fgw&sig=") and signature.endswith("&se=1700000000")
    assert base64.b64decode(unquote(signature.split("&sig=")[1].split("&")[0])) == expected


def test_azure_needs_one_way_to_say_who_it_is(tmp_path: Path) -> None:
    table = {"type": "azure_iot", "url": "mqtts://hub.example"}
    assert "key_base64_file" in str(AzureIotSinkSettings.model_validate(table).problem())
    (tmp_path / "key").write_text("not base64!", encoding="utf-8")
    with pytest.raises(ConfigError, match="base64"):
        AzureIotSinkSettings.model_validate(table | {"key_base64_file": "key"}).open(context(tmp_path, GATEWAY))


def metrics_of(payload: bytes) -> dict[str, Any]:
    message = sparkplug.Payload.FromString(payload)
    return {m.name: m for m in message.metrics} | {"#seq": message.seq}


async def test_sparkplug_births_data_and_rebirth(plain_broker: Broker, tmp_path: Path) -> None:
    source = Source(GATEWAY)
    device = source.boards[0].device_id.hex()
    async with service(plain_broker, "spBv1.0/#") as host:
        sink = opened(SparkplugSinkSettings, plain_broker, tmp_path, type="sparkplug_b")
        batch = source.batch(4, derived=1)
        assert await sink.deliver(batch) == Delivered(entries(batch))
        seen = list(await host.until(5))
        await host.connection.publish(f"spBv1.0/tinyfleet/NCMD/{GATEWAY}", _rebirth())
        await host.until(6)  # the command itself
        async with asyncio.timeout(HANG_S):
            while not sink._must_be_born_again:  # type: ignore[attr-defined]  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await sink.deliver(source.batch(2))
        again = list(await host.until(9))[6:]
        await sink.close()
        end = (await host.until(10))[9]
    node, devices = f"spBv1.0/tinyfleet/{{}}/{GATEWAY}", f"spBv1.0/tinyfleet/{{}}/{GATEWAY}/{device}"
    assert [topic for topic, _ in seen] == [node.format("NBIRTH"), devices.format("DBIRTH"), *[devices.format("DDATA")] * 3]
    assert [metrics_of(p)["#seq"] for _, p in seen] == [0, 1, 2, 3, 4]
    data = metrics_of(seen[2][1])
    assert (data["Seq"].int_value, data["LatencyUs"].int_value, data["Seq"].datatype) == (1, 901, sparkplug.DataType.UINT32)
    assert data["Record"].bytes_value == source.made[1].record
    # The records are from the past: they are replayed.
    assert data["Seq"].is_historical and not metrics_of(seen[1][1])["Seq"].is_historical
    assert [topic for topic, _ in again] == [node.format("NBIRTH"), devices.format("DBIRTH"), devices.format("DDATA")]
    birth, death = metrics_of(again[0][1])["bdSeq"], metrics_of(end[1])["bdSeq"]
    assert end[0] == node.format("NDEATH") and birth.long_value == death.long_value


async def test_sparkplug_node_that_is_lost_is_declared_dead_by_its_will(plain_broker: Broker, tmp_path: Path) -> None:
    source = Source(GATEWAY)
    async with service(plain_broker, "spBv1.0/+/NBIRTH/#", "spBv1.0/+/NDEATH/#") as host:
        sink = opened(SparkplugSinkSettings, plain_broker, tmp_path, type="sparkplug_b")
        await sink.deliver(source.batch(1))
        await host.until(1)
        sink._session.connection._client.socket().shutdown(2)  # type: ignore[attr-defined]
        await host.until(2)
        async with asyncio.timeout(HANG_S):
            while True:
                try:
                    await sink.deliver(source.batch(1))
                    break
                except SinkError:
                    await asyncio.sleep(0.05)
        births = [metrics_of(p)["bdSeq"].long_value for _, p in await host.until(3)]
        await sink.close()
    # The will carries the number of the birth before it; the next birth has the next one.
    assert births[0] == births[1] and births[2] == (births[0] + 1) % 256


def _rebirth() -> bytes:
    payload = sparkplug.Payload()
    sparkplug.add_metric(payload, "Node Control/Rebirth", sparkplug.DataType.BOOLEAN, True, timestamp_ms=None)
    return bytes(payload.SerializeToString())


def test_sparkplug_bytes_are_those_of_the_specification() -> None:
    payload = sparkplug.Payload(timestamp=1, seq=2)
    sparkplug.add_metric(payload, "a", sparkplug.DataType.INT32, -2, timestamp_ms=3, is_historical=True)
    # By hand: timestamp 08 01; metrics 12 len { name 0a 01 61, timestamp 18 03, datatype 20 03, is_historical 28 01,
    # int_value 50 fe ff ff ff 0f (two's complement in a uint32) }; seq 18 02.
    assert payload.SerializeToString().hex() == "0801120f0a01611803200328" + "0150feffffff0f" + "1802"
    sparkplug.add_metric(payload, "b", sparkplug.DataType.STRING, None, timestamp_ms=None)
    assert payload.metrics[1].is_null


@pytest.mark.parametrize("kind", [AwsIotSinkSettings, AzureIotSinkSettings, SparkplugSinkSettings])
async def test_the_largest_window_is_in_nobodys_way(plain_broker: Broker, tmp_path: Path, kind: type[SinkSettings]) -> None:
    (tmp_path / "key").write_text(base64.b64encode(b"0123456789abcdef").decode() + "\n", encoding="utf-8")
    tables: dict[type[SinkSettings], dict[str, Any]] = {
        AwsIotSinkSettings: {"type": "aws_iot", "shadow": False},
        AzureIotSinkSettings: {"type": "azure_iot", "key_base64_file": "key", "hub": "h.example"},
        SparkplugSinkSettings: {"type": "sparkplug_b"},
    }
    source = Source(GATEWAY)
    sink = opened(kind, plain_broker, tmp_path, **tables[kind])
    window = largest_window(source)
    if kind is AwsIotSinkSettings:
        with pytest.raises(BatchTooLarge):
            await sink.deliver(window)
    else:  # a hub takes it; Sparkplug has no place for what a gateway derives
        assert await sink.deliver(window) == Delivered(entries(window))
    batch = source.batch(3)
    assert await sink.deliver(batch) == Delivered(entries(batch))
    await sink.close()
