"""OPC UA in particular: who is refused, what is shown, and that an ingest loses nothing where its connection or the server does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from tests.gateway.sinks.batches import Source, context, entries, largest_window
from tests.gateway.sinks.opcua_peer import UaFleet, history, ua_client
from tests.gateway.sinks.peers import GATEWAY, local_cloud, stored
from tests.gateway.sinks.test_contract import identities
from tests.support.patience import HANG_S
from tinyfleet.cloud.ingest.forward import Forwarder
from tinyfleet.cloud.ingest.opcua import ingest_opcua
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.demo.reserved_port import ReservedPort
from tinyfleet.gateway.sinks.opcua import NAMESPACE, OpcUaSink, OpcUaSinkSettings
from tinyfleet.gateway.sinks.sink import Delivered, SinkContext
from tinyfleet.telemetry import Envelope
from tinyfleet_codegen.errors import ConfigError, SinkError


@pytest.fixture(scope="module")
def ua_fleet(tmp_path_factory: pytest.TempPathFactory) -> UaFleet:
    return UaFleet.make(tmp_path_factory.mktemp("ua"))


@pytest.fixture
def url() -> Iterator[str]:
    """Where the server listens."""
    with ReservedPort() as port:
        yield f"opc.tcp://127.0.0.1:{port.number}"


class Outbox:
    """What an outbox still holds, in memory."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def history(self, device_id: bytes, first_us: int, last_us: int, limit: int) -> list[Envelope]:
        """See SinkContext."""
        first, last = sorted((first_us, last_us))
        held = [e for e in self._source.made if e.identity.device_id == device_id and first <= (e.time_utc_us or 0) <= last]
        return held[:limit] if first_us <= last_us else held[::-1][:limit]  # no two have the same time

    async def devices(self) -> list[bytes]:
        """See SinkContext."""
        return sorted({e.identity.device_id for e in self._source.made})


def open_sink(folder: Path, fleet: UaFleet, source: Source, url: str, **changes: Any) -> OpcUaSink:
    table = {
        "type": "opcua", "url": url, "cert_file": str(fleet.server.certificate),
        "key_file": str(fleet.server.key), "client_ca_file": str(fleet.ca),
    }  # fmt: skip
    plain = context(folder, GATEWAY)
    settings = OpcUaSinkSettings.model_validate(table | changes)
    outbox = Outbox(source)
    return settings.open(SinkContext(plain.gateway_id, plain.outbox_id, folder, outbox.history, outbox.devices))


async def test_device_has_typed_variables_history_and_detections_for_who_is_trusted(tmp_path: Path, ua_fleet: UaFleet, url: str) -> None:
    source = Source(GATEWAY, devices=2)
    sink = open_sink(tmp_path, ua_fleet, source, url)
    batch = source.batch(20, derived=1)
    assert await sink.deliver(batch) == Delivered(entries(batch))
    detections: asyncio.Queue[Any] = asyncio.Queue()

    class Handler:
        def event_notification(self, event: Any) -> None:
            detections.put_nowait((event.DeviceId, event.Top))

    device = source.boards[0].device_id.hex()
    async with ua_client(sink.name, ua_fleet.reader) as client:
        namespace = await client.get_namespace_index(NAMESPACE)
        folder = await client.nodes.objects.get_child(f"{namespace}:Tinyfleet")
        names = {str(n.nodeid.Identifier) for n in await folder.get_children()}
        assert names == {b.device_id.hex() for b in source.boards}
        node = client.get_node(f"ns={namespace};s={device}/Seq")
        assert (await node.read_value(), await node.read_data_type_as_variant_type()) == (9, ua.VariantType.UInt32)
        latencies = await client.get_node(f"ns={namespace};s={device}/LatencyUs").read_raw_history()
        assert [v.Value.Value for v in latencies] == [900 + seq for seq in range(10)]
        assert [v.Value.Value for v in await client.get_node(f"ns={namespace};s={device}/Seq").read_raw_history(numvalues=3)] == [0, 1, 2]
        late, early = datetime(2100, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)
        assert [v.Value.Value for v in await node.read_raw_history(late, early, numvalues=2)] == [9, 8]
        await sink.deliver(source.batch(0, reports=[source.report(3)]))
        shown = json.loads(await client.get_node(f"ns={namespace};s={device}/Event").read_value())
        assert (shown["type"], shown["data"]["lost"], shown["data"]["dropped"]) == ("tinyfleet.loss.v1", 3, 1)
        with pytest.raises(ua.UaError):
            await node.write_value(ua.Variant(7, ua.VariantType.UInt32))
        subscription = await client.create_subscription(20, Handler())
        kind = await client.nodes.base_event_type.get_child(f"{namespace}:DetectionEventType")
        await subscription.subscribe_events(folder, kind)
        await sink.deliver(source.batch(20))
        changes = [e for e, before in zip(source.made[22:40:2], source.made[20:38:2], strict=True) if e.record[-8:] != before.record[-8:]]
        assert changes
        assert (await asyncio.wait_for(detections.get(), HANG_S))[0] in names
    events = await history(sink.name, ua_fleet.reader)
    assert sorted((e["data"]["device_id"], e["data"]["seq"]) for e in events) == sorted(identities(source))
    window = largest_window(source)
    assert await sink.deliver(window) == Delivered(entries(window))
    async with ua_client(sink.name, ua_fleet.reader) as client:
        shown = json.loads(await client.get_node(f"ns={namespace};s={device}/Event").read_value())
        assert shown["data"]["kind"] == "capture" and len(shown["data"]["body"]["data"]) == 256_000
    # The same entries again are accepted again; a port that is taken is said to be.
    assert await sink.deliver(batch) == Delivered(entries(batch))
    second = open_sink(tmp_path, ua_fleet, source, sink.name)
    with pytest.raises(SinkError, match=r"cannot serve on opc\.tcp"):
        await second.deliver(source.batch(1))
    await second.close()
    await who_is_not_trusted_is_refused(sink, ua_fleet)
    await sink.close()


async def who_is_not_trusted_is_refused(sink: OpcUaSink, fleet: UaFleet) -> None:
    """Part of the test above: a server takes a second to start."""
    with pytest.raises((ua.UaError, OSError, asyncio.TimeoutError)):
        async with Client(sink.name, timeout=3) as client:  # insecure
            await client.get_namespace_array()
    for who in ("anonymous", "wrong authority", "expired"):
        identity = {"anonymous": fleet.reader, "wrong authority": fleet.foreign, "expired": fleet.expired}[who]
        with pytest.raises((ua.UaError, OSError, asyncio.TimeoutError)):
            async with ua_client(sink.name, identity, as_user=who != "anonymous") as client:
                await client.get_namespace_array()
    async with ua_client(sink.name, fleet.reader) as client:
        assert NAMESPACE in await client.get_namespace_array()


async def test_ingest_loses_nothing_when_server_and_cloud_come_and_go(tmp_path: Path, ua_fleet: UaFleet, url: str) -> None:
    source = Source(GATEWAY, devices=2)
    credentials = Credentials(ua_fleet.ca, ua_fleet.reader.certificate, ua_fleet.reader.key)
    async with local_cloud(tmp_path / "cloud") as cloud, Forwarder(cloud.url, token=None) as forwarder:
        ingest = asyncio.create_task(ingest_opcua(url, credentials, forwarder, lambda: None))
        sink = open_sink(tmp_path, ua_fleet, source, url)
        await sink.deliver(source.batch(30))
        await stored(cloud, 30)
        await sink.deliver(source.batch(30))
        await sink.close()
        source.batch(1500)  # committed while nobody served: only history has it
        again = open_sink(tmp_path, ua_fleet, source, url)
        await cloud.stop()
        await cloud.start()
        await stored(cloud, 1560)  # without a delivery
        await again.deliver(source.batch(40))
        await stored(cloud, 1600)
        ingest.cancel()
        await asyncio.gather(ingest, return_exceptions=True)
        await again.close()
        totals = cloud.store.totals()
        rows = {(r.envelope.identity.device_id.hex(), r.envelope.identity.seq) for r in cloud.store.records(limit=5000)}
    assert rows == set(identities(source))
    assert (totals["duplicated"], totals["alarms"], totals["refused"]) == (0, 0, 0)


@pytest.mark.parametrize("name", ["cert_file", "key_file", "client_ca_file"])
async def test_file_that_is_not_there_is_named(tmp_path: Path, ua_fleet: UaFleet, url: str, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        open_sink(tmp_path, ua_fleet, Source(GATEWAY), url, **{name: "absent.pem"})
