"""Sparkplug B: the gateway is an edge node, its devices are devices, a record is a DDATA; what comes late says that it is historical.

A host sees the births of the node and of each device, and the node's death by its last will. It may ask for a rebirth.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tinyfleet.gateway.sinks.broker_mqtt import BrokerMqttSettings, by_device
from tinyfleet.gateway.sinks.fields import RECORD_FIELDS
from tinyfleet.gateway.sinks.mqtt_session import MqttSession
from tinyfleet.gateway.sinks.sink import Delivered, SinkContext
from tinyfleet.telemetry import Batch, Envelope
from tinyfleet_codegen.errors import SinkError
from tinyfleet_codegen.wire.record import Record, decode_record

if TYPE_CHECKING:
    from tinyfleet.mqtt import LastWill, MqttConnection

log = logging.getLogger(__name__)

REBIRTH = "Node Control/Rebirth"


class SparkplugSinkSettings(BrokerMqttSettings):
    """``[[sink]]`` of type ``sparkplug_b``: a broker with a Sparkplug host behind it."""

    type: Literal["sparkplug_b"] = Field(description="'sparkplug_b'")
    group: str = Field(
        default="tinyfleet", pattern=r"^[^+#/]{1,64}$", description="the group's id, 1 to 64 characters without '+', '#' and '/'"
    )
    node: str | None = Field(
        default=None, pattern=r"^[^+#/]{1,64}$", description="the edge node's id, 1 to 64 characters as above; default: the gateway's id"
    )
    historical_s: float = Field(
        default=10.0, ge=0.1, le=86400, description="a record older than this in seconds is marked as historical, 0.1 to 86400"
    )

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        return f"{self.url}, Sparkplug B, group {self.group}"

    def open(self, context: SinkContext) -> SparkplugSink:
        """See :class:`SinkSettings`."""
        return SparkplugSink(self, context)


_METRICS: dict[str, tuple[str, Callable[[Envelope, Record], Any]]] = {
    **{name: (field.sparkplug, field.value) for name, field in RECORD_FIELDS.items()},
    "Record": ("BYTES", lambda e, _: e.record),
}
"""Name -> its Sparkplug type, and its value."""


class SparkplugSink:
    """One edge node.

    Args:
        settings: Its table in the configuration.
        context: The gateway that it belongs to.

    Raises:
        SetupError: a package is not installed.
    """

    def __init__(self, settings: SparkplugSinkSettings, context: SinkContext) -> None:
        from tinyfleet import sparkplug  # noqa: PLC0415 (an optional extra)

        self._wire = sparkplug
        self.name = settings.url
        self._settings = settings
        self._node = settings.node or context.gateway_id
        # The will is registered when we connect, and must name the same birth as the birth that follows.
        self._birth = int(time.time()) % 256 - 1
        self._seq = 0
        self._born: set[str] = set()
        self._must_be_born_again = False
        self._session = MqttSession(
            self.name,
            endpoint=settings.endpoint_maker(context, is_v5=False),
            client_id=f"{settings.group}-{self._node}",
            will=self._will,
            greet=self._greet,
            take=self._take,
        )

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`; what the gateway derived has no place in Sparkplug and is passed over."""
        connection = await self._session.connected()
        try:
            if self._must_be_born_again:
                await self._be_born(connection)
            for device_id, held in by_device(batch).items():
                records = [e for e in held if isinstance(e, Envelope)]
                if device_id is None or not records:
                    continue
                device = device_id.hex()
                if device not in self._born:
                    await self._send(connection, "DBIRTH", device, records[:1])
                    self._born.add(device)
                    records = records[1:]
                for envelope in records:
                    await self._send(connection, "DDATA", device, [envelope])
        except SinkError:
            await self._session.disconnect()
            raise
        return Delivered(frozenset(e.entry for e in batch.envelopes))

    def _will(self) -> LastWill:
        from tinyfleet.mqtt import LastWill  # noqa: PLC0415 (an optional extra)

        self._birth = (self._birth + 1) % 256
        return LastWill(self._wire.topic(self._settings.group, "NDEATH", self._node), self._death(), retain=False)

    def _death(self) -> bytes:
        payload = self._wire.Payload()
        self._wire.add_metric(payload, "bdSeq", self._wire.DataType.INT64, self._birth, timestamp_ms=None)
        return bytes(payload.SerializeToString())

    async def _greet(self, connection: MqttConnection) -> None:
        await connection.subscribe(self._wire.topic(self._settings.group, "NCMD", self._node))
        await self._be_born(connection)

    async def _be_born(self, connection: MqttConnection) -> None:
        """NBIRTH; devices are born with their next record."""
        self._must_be_born_again = False
        self._born.clear()
        self._seq = 0
        now_ms = time.time_ns() // 10**6
        payload = self._wire.Payload(timestamp=now_ms, seq=self._next_seq())
        self._wire.add_metric(payload, "bdSeq", self._wire.DataType.INT64, self._birth, timestamp_ms=now_ms)
        self._wire.add_metric(payload, REBIRTH, self._wire.DataType.BOOLEAN, False, timestamp_ms=now_ms)
        await connection.publish(self._wire.topic(self._settings.group, "NBIRTH", self._node), payload.SerializeToString())

    async def _send(self, connection: MqttConnection, message: str, device: str, envelopes: list[Envelope]) -> None:
        now_ms = time.time_ns() // 10**6
        payload = self._wire.Payload(timestamp=now_ms, seq=self._next_seq())
        for envelope in envelopes:
            record = decode_record(envelope.record)
            time_ms = None if envelope.time_utc_us is None else envelope.time_utc_us // 1000
            is_late = time_ms is not None and now_ms - time_ms > self._settings.historical_s * 1000
            for name, (kind, value) in _METRICS.items():
                self._wire.add_metric(
                    payload,
                    name,
                    self._wire.DataType[kind],
                    value(envelope, record),
                    timestamp_ms=time_ms,
                    # A birth tells the state now, whenever it was measured.
                    is_historical=is_late and message == "DDATA",
                )
        await connection.publish(self._wire.topic(self._settings.group, message, self._node, device), payload.SerializeToString())

    def _next_seq(self) -> int:
        """0 for the node's birth, then up to 255, and again from 0."""
        seq, self._seq = self._seq, (self._seq + 1) % 256
        return seq

    def _take(self, _topic: str, data: bytes) -> None:
        """A command of a host: only a rebirth is known."""
        try:
            payload = self._wire.Payload.FromString(data)
        except Exception as error:
            log.warning("command that cannot be read sink=%s error=%s", self.name, error)
            return
        if any(metric.name == REBIRTH and metric.boolean_value for metric in payload.metrics):
            log.info("rebirth asked for sink=%s", self.name)
            self._must_be_born_again = True

    async def close(self) -> None:
        """Say that the node is gone, and go."""
        connection = self._session.connection
        if connection is not None:
            try:
                await connection.publish(self._wire.topic(self._settings.group, "NDEATH", self._node), self._death())
            except SinkError as error:
                log.info("could not say goodbye sink=%s error=%s", self.name, error)
        await self._session.close()
