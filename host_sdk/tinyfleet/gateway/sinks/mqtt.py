"""Delivery by MQTT 5 or 3.1.1: events on a topic per device, believed only when the cloud's acknowledgement comes back.

A broker's PUBACK says that a broker has a message, which it may lose. So the acknowledgement is a message itself: whoever has committed a
batch publishes on the gateway's ``ack`` topic the SHA-256 of the payload and which entries are stored (``docs/spec/telemetry.md``).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from tinyfleet.cloud_events import Encoding, LossEvent, encode_events, envelope_event, loss_event
from tinyfleet.gateway.mqtt_client import MqttClientSettings
from tinyfleet.gateway.sinks.answer import read_answer
from tinyfleet.gateway.sinks.mqtt_session import MqttSession
from tinyfleet.gateway.sinks.sink import BatchTooLarge, Delivered, Delivery, SinkContext
from tinyfleet.gateway.sinks.tls import TlsSinkSettings
from tinyfleet.mqtt_topics import ack_topic, mqtt_address, status_topic, telemetry_topic
from tinyfleet.telemetry import Batch, DerivedEnvelope, Envelope
from tinyfleet_codegen.errors import SinkError

if TYPE_CHECKING:
    from tinyfleet.mqtt import LastWill, MqttConnection, MqttEndpoint

log = logging.getLogger(__name__)

STATUS_VERSION = 1


def _mqtt_url(url: str) -> str:
    mqtt_address(url)
    return url


class MqttSinkSettings(MqttClientSettings, TlsSinkSettings):
    """``[[sink]]`` of type ``mqtt``: a broker, and behind it a cloud that acknowledges."""

    delivery: ClassVar[Delivery] = Delivery.DURABLE

    type: Literal["mqtt"] = Field(description="'mqtt'")
    url: Annotated[str, AfterValidator(_mqtt_url)] = Field(description="mqtt://HOST[:1883] or mqtts://HOST[:8883]")
    client_id: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$", description="1 to 64 letters, digits, '.', '_' or '-'; default: the gateway's id"
    )
    encoding: Annotated[Encoding, Field(strict=False)] = Field(default=Encoding.CBOR, description="'json' or 'cbor'")
    max_payload_bytes: int = Field(
        default=128 * 1024, ge=4096, le=2**28 - 1, description="bytes of one message, 4096 to 268435455; brokers in the cloud take 131072"
    )
    timeout_s: float = Field(default=10.0, ge=0.1, le=600, description="seconds for the broker to answer, and for the cloud, 0.1 to 600")

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        return self.client_problem("url", self.url)

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        who = f"with user {self.username}" if self.username else "without user"
        return f"{self.url}, MQTT {self.protocol}, {who}{', with certificate' if self.cert_file else ''}"

    def open(self, context: SinkContext) -> MqttSink:
        """See :class:`SinkSettings`."""
        return MqttSink(self, context, self.endpoint(self.url, context, timeout_s=self.timeout_s))


@dataclass(frozen=True, slots=True)
class _Message:
    """What one message holds: envelopes first, then ``report_count`` loss reports."""

    topic: str
    payload: bytes
    envelopes: tuple[Envelope | DerivedEnvelope, ...]
    report_count: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.payload).hexdigest()


class MqttSink:
    """One broker.

    Args:
        settings: Its table in the configuration.
        context: The gateway that it belongs to.
        endpoint: The broker.
    """

    def __init__(self, settings: MqttSinkSettings, context: SinkContext, endpoint: MqttEndpoint) -> None:
        self.name = settings.url
        self._settings = settings
        self._gateway_id = context.gateway_id
        self._session = MqttSession(
            settings.url,
            endpoint=lambda: endpoint,
            client_id=settings.client_id or context.gateway_id,
            will=self._will,
            greet=self._greet,
            take=self._take,
        )
        self._waiting: dict[str, asyncio.Future[bytes]] = {}

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`."""
        messages = await asyncio.to_thread(_messages, batch, self._settings.encoding)
        connection = await self._session.connected()
        limit = min(self._settings.max_payload_bytes, (connection.max_packet_bytes or 2**28) - 512)
        if any(len(m.payload) > limit for m in messages):
            raise BatchTooLarge
        try:
            answers = await self._exchange(connection, messages)
        except SinkError:
            # Also when an acknowledgement was awaited in vain: a fresh connection has no stale subscription.
            await self._session.disconnect()
            raise
        parts = [read_answer(answer, m.envelopes, whose=self.name) for m, answer in zip(messages, answers, strict=True)]
        return Delivered(frozenset().union(*(p.accepted for p in parts)), tuple(r for p in parts for r in p.refused))

    async def _exchange(self, connection: MqttConnection, messages: Sequence[_Message]) -> list[bytes]:
        """Send all, then wait for the answer to each."""
        answers = [asyncio.get_running_loop().create_future() for _ in messages]
        self._waiting = {m.digest: answer for m, answer in zip(messages, answers, strict=True)}
        try:
            for message in messages:
                await connection.publish(message.topic, message.payload)
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._session.unless_lost(asyncio.gather(*answers))
        except TimeoutError as error:
            missing = sum(not answer.done() for answer in answers)
            raise SinkError(
                f"{self.name} took {len(messages)} messages, but {missing} were not acknowledged within {self._settings.timeout_s:g} s",
                retryable=True,
                hint="does `tinyfleet cloud ingest` run behind the broker?",
            ) from error
        finally:
            self._waiting = {}

    def _will(self) -> LastWill:
        from tinyfleet.mqtt import LastWill  # noqa: PLC0415 (an optional extra)

        return LastWill(status_topic(self._gateway_id), _status("offline"))

    async def _greet(self, connection: MqttConnection) -> None:
        await connection.subscribe(ack_topic(self._gateway_id))
        await connection.publish(status_topic(self._gateway_id), _status("online"), retain=True)

    def _take(self, _topic: str, payload: bytes) -> None:
        """Hand an acknowledgement to who waits for it."""
        digest = _digest_in(payload)
        waiting = self._waiting.get(digest) if digest else None
        if waiting is None:
            # Of a delivery that was given up, and will be offered again.
            log.debug("acknowledgement that nobody waits for sink=%s", self.name)
        elif not waiting.done():
            waiting.set_result(payload)

    async def close(self) -> None:
        """Say that the gateway goes, and go."""
        connection = self._session.connection
        if connection is not None:
            try:
                async with asyncio.timeout(1.0):
                    await connection.publish(status_topic(self._gateway_id), _status("offline"), retain=True)
            except (SinkError, TimeoutError) as error:
                log.info("could not say goodbye sink=%s error=%s", self.name, str(error) or type(error).__name__)
        await self._session.close()


def _messages(batch: Batch, encoding: Encoding) -> list[_Message]:
    """One message per device that the batch is about, and one for what is about the gateway itself."""
    envelopes: dict[bytes | None, list[Envelope | DerivedEnvelope]] = {}
    reports: dict[bytes | None, list[LossEvent]] = {}
    for envelope in batch.envelopes:
        device_id = envelope.identity.device_id if isinstance(envelope, Envelope) else envelope.device_id
        envelopes.setdefault(device_id, []).append(envelope)
    for report in batch.reports:
        reports.setdefault(report.device_id, []).append(LossEvent(report, batch.gateway_id, batch.outbox_id))
    messages = []
    for device_id in dict.fromkeys((*envelopes, *reports)):
        held, losses = envelopes.get(device_id, []), reports.get(device_id, [])
        events: list[dict[str, Any]] = [envelope_event(e, encoding) for e in held] + [loss_event(loss) for loss in losses]
        topic = telemetry_topic(batch.gateway_id, device_id)
        messages.append(_Message(topic, encode_events(events, encoding), tuple(held), len(losses)))
    return messages


def _digest_in(payload: bytes) -> str | None:
    """Which message an acknowledgement is about."""
    try:
        message = json.loads(payload)["message"]
    except (ValueError, TypeError, KeyError):
        return None
    return message if isinstance(message, str) else None


def _status(state: str) -> bytes:
    return json.dumps({"version": STATUS_VERSION, "state": state}).encode()
