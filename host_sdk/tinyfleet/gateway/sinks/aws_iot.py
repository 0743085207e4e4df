"""AWS IoT Core: events on a topic that its rules read, and the newest record of each device in a named shadow of the gateway's thing.

It was tried against mosquitto with a responder on the shadow topics, not against AWS.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tinyfleet.gateway.sinks.broker_mqtt import BrokerMqttSettings, payloads_by_device
from tinyfleet.gateway.sinks.mqtt_session import MqttSession
from tinyfleet.gateway.sinks.sink import BatchTooLarge, Delivered, SinkContext
from tinyfleet.telemetry import Batch, Envelope, format_utc
from tinyfleet_codegen.errors import ConfigError, SinkError
from tinyfleet_codegen.wire.record import decode_record

if TYPE_CHECKING:
    from tinyfleet.mqtt import MqttConnection

log = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES = 128 * 1024
"""Of one message, by the service's quotas; the others below as well."""
MAX_TOPIC_BYTES = 256
MAX_TOPIC_SLASHES = 7
SHADOWS_UNDER_WAY = 10
"""Updates of a thing's shadows that are not answered yet, at most."""
_THING = r"^[A-Za-z0-9:_-]{1,128}$"


class AwsIotSinkSettings(BrokerMqttSettings):
    """``[[sink]]`` of type ``aws_iot``: a thing of AWS IoT Core, known by its certificate."""

    type: Literal["aws_iot"] = Field(description="'aws_iot'")
    thing: str | None = Field(
        default=None,
        pattern=_THING,
        description="the thing, 1 to 128 letters, digits, ':', '_' or '-'; default: the gateway's id",
    )
    topic: str = Field(
        default="dt/tinyfleet",
        pattern=r"^[^$+#/][^+#]{0,100}$",
        description="events go to TOPIC/THING/DEVICE; 1 to 101 characters without '+' and '#'",
    )
    keepalive_s: int = Field(
        default=30, ge=30, le=1200, description="seconds of silence after which the service is asked, 30 to 1200 (it takes no others)"
    )
    shadow: bool = Field(default=True, description="true or false: keep the newest record of each device in a named shadow")

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        longest = f"{self.topic}/{self.thing or ''}/{'0' * 32}"
        if longest.count("/") > MAX_TOPIC_SLASHES or len(longest.encode()) > MAX_TOPIC_BYTES:
            most = f"TOPIC/THING/DEVICE with up to {MAX_TOPIC_SLASHES} slashes and {MAX_TOPIC_BYTES} bytes"
            return f"topic = {self.topic!r}: allowed: {most}"
        return super().problem()

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        return f"{self.url}, AWS IoT Core, {self.topic}{', with shadows' if self.shadow else ''}"

    def open(self, context: SinkContext) -> AwsIotSink:
        """See :class:`SinkSettings`."""
        return AwsIotSink(self, context)


class AwsIotSink:
    """One thing.

    Args:
        settings: Its table in the configuration.
        context: The gateway that it belongs to.

    Raises:
        ConfigError: the gateway's id is no name of a thing, and none is given.
    """

    def __init__(self, settings: AwsIotSinkSettings, context: SinkContext) -> None:
        self.name = settings.url
        self._settings = settings
        self._thing = settings.thing or context.gateway_id
        if not re.fullmatch(_THING, self._thing):
            raise ConfigError(
                f"sink {settings.label}: the gateway's id {self._thing!r} is no name of a thing", hint="name one: thing = '...' in the sink"
            )
        self._session = MqttSession(
            self.name,
            endpoint=settings.endpoint_maker(context, is_v5=True),
            client_id=self._thing,
            will=lambda: None,
            greet=self._greet,
            take=self._take,
        )
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`."""
        messages = [(self._topic(device_id), payload) for device_id, payload in payloads_by_device(batch)]
        if any(len(payload) > MAX_PAYLOAD_BYTES for _, payload in messages):
            raise BatchTooLarge
        connection = await self._session.connected()
        try:
            for topic, payload in messages:
                await connection.publish(topic, payload)
            if self._settings.shadow:
                await self._report(connection, batch)
        except SinkError:
            await self._session.disconnect()
            raise
        return Delivered(frozenset(e.entry for e in batch.envelopes))

    def _topic(self, device_id: bytes | None) -> str:
        return f"{self._settings.topic}/{self._thing}/{'gateway' if device_id is None else device_id.hex()}"

    def _shadow(self, name: str, operation: str) -> str:
        return f"$aws/things/{self._thing}/shadow/name/{name}/{operation}"

    async def _report(self, connection: MqttConnection, batch: Batch) -> None:
        """The newest record of each device; returns when the service has accepted every one."""
        newest = list({e.identity.device_id: e for e in batch.records}.items())
        for first in range(0, len(newest), SHADOWS_UNDER_WAY):
            await self._report_some(connection, newest[first : first + SHADOWS_UNDER_WAY])

    async def _report_some(self, connection: MqttConnection, newest: list[tuple[bytes, Envelope]]) -> None:
        answers: list[asyncio.Future[None]] = []
        for device_id, envelope in newest:
            token = secrets.token_hex(8)
            self._waiting[token] = asyncio.get_running_loop().create_future()
            answers.append(self._waiting[token])
            document = {"state": {"reported": _newest(envelope)}, "clientToken": token}
            await connection.publish(self._shadow(device_id.hex(), "update"), json.dumps(document).encode())
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._session.unless_lost(asyncio.gather(*answers))
        except TimeoutError as error:
            raise SinkError(f"{self.name} did not answer an update of a shadow in time", retryable=True) from error
        finally:
            self._waiting.clear()

    async def _greet(self, connection: MqttConnection) -> None:
        if self._settings.shadow:
            await connection.subscribe(self._shadow("+", "update/accepted"), self._shadow("+", "update/rejected"))

    def _take(self, topic: str, payload: bytes) -> None:
        try:
            document = json.loads(payload)
            answer = self._waiting.get(document.get("clientToken"))
        except (ValueError, AttributeError, TypeError):
            return
        if answer is None or answer.done():
            return
        if topic.endswith("/rejected"):
            why = f"{document.get('code')} {str(document.get('message'))[:100]}"
            answer.set_exception(SinkError(f"{self.name} rejects an update of a shadow: {why}", retryable=True))
        else:
            answer.set_result(None)

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()


def _newest(envelope: Envelope) -> dict[str, Any]:
    record = decode_record(envelope.record)
    return {
        "boot_id": envelope.identity.boot_id,
        "seq": envelope.identity.seq,
        "time": None if envelope.time_utc_us is None else format_utc(envelope.time_utc_us),
        "model_id": None if envelope.model_id is None else envelope.model_id.hex(),
        "top": record.top,
        "latency_us": record.latency_us,
    }
