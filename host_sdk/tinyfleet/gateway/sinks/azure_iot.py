"""Azure IoT Hub: MQTT 3.1.1 as its own device library would speak it, without retained messages, which the service does not have.

A device of the hub is the gateway; it proves who it is by a certificate, or by a shared access signature that is made anew for each
connection. It was tried against mosquitto, not against Azure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from tinyfleet.cloud_events import Encoding
from tinyfleet.gateway.sinks.broker_mqtt import BrokerMqttSettings, payloads_by_device
from tinyfleet.gateway.sinks.mqtt_session import MqttSession
from tinyfleet.gateway.sinks.sink import BatchTooLarge, Delivered, SinkContext
from tinyfleet.mqtt_topics import mqtt_address
from tinyfleet.telemetry import Batch
from tinyfleet_codegen.errors import ConfigError, SinkError

API_VERSION = "2021-04-12"
MAX_PAYLOAD_BYTES = 255 * 1024
"""Of one message with its properties the service takes 256 KiB."""
SIGNATURE_S = 3600
"""For how long a signature is good; the service ends the connection then, and the next one has a new signature."""


class AzureIotSinkSettings(BrokerMqttSettings):
    """``[[sink]]`` of type ``azure_iot``: a device of an Azure IoT Hub."""

    type: Literal["azure_iot"] = Field(description="'azure_iot'")
    hub: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]{1,255}$", description="the hub's host name; default: the host of url")
    device: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._:-]{1,128}$", description="the device's id in the hub; default: the gateway's id"
    )
    keepalive_s: int = Field(
        default=30, ge=1, le=1767, description="seconds of silence after which the service is asked, 1 to 1767 (it takes no more)"
    )
    key_base64_file: str | None = Field(
        default=None, min_length=1, description="a file with the device's symmetric key (base64), where there is no certificate"
    )

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        if (self.key_base64_file is None) is (self.cert_file is None):
            return "key_base64_file: allowed: that, or cert_file and key_file"
        return super().problem()

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        return f"{self.url}, Azure IoT Hub, {'with certificate' if self.cert_file else 'with shared access signature'}"

    def open(self, context: SinkContext) -> AzureIotSink:
        """See :class:`SinkSettings`."""
        return AzureIotSink(self, context)


class AzureIotSink:
    """One device of a hub.

    Args:
        settings: Its table in the configuration.
        context: The gateway that it belongs to.

    Raises:
        ConfigError: the key cannot be had.
    """

    def __init__(self, settings: AzureIotSinkSettings, context: SinkContext) -> None:
        self.name = settings.url
        device = settings.device or context.gateway_id
        hub = settings.hub or mqtt_address(settings.url)[0]
        self._topic = f"devices/{quote(device, safe='')}/messages/events/"
        password: Callable[[], str | None] = lambda: None  # noqa: E731
        secret = context.secret(f"sink {settings.label}: key_base64", file=settings.key_base64_file, env=None)
        if secret is not None:
            key = _key(secret.get_secret_value(), settings.label)
            password = lambda: shared_access_signature(hub, device, key, expiry_s=int(time.time()) + SIGNATURE_S)  # noqa: E731
        self._session = MqttSession(
            self.name,
            endpoint=settings.endpoint_maker(
                context, is_v5=False, username=f"{hub}/{device}/?api-version={API_VERSION}", password=password
            ),
            client_id=device,
            will=lambda: None,
            greet=_nothing,
            take=lambda _topic, _payload: None,
        )

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`."""
        properties = {"$.ct": Encoding.JSON.batch_type, "$.ce": "utf-8"}
        messages = []
        for device_id, payload in payloads_by_device(batch):
            bag = properties | {"source": "gateway" if device_id is None else device_id.hex()}
            topic = self._topic + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in bag.items())
            messages.append((topic, payload))
        if any(len(payload) + len(topic) > MAX_PAYLOAD_BYTES for topic, payload in messages):
            raise BatchTooLarge
        connection = await self._session.connected()
        try:
            for topic, payload in messages:
                await connection.publish(topic, payload)
        except SinkError:
            await self._session.disconnect()
            raise
        return Delivered(frozenset(e.entry for e in batch.envelopes))

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()


def shared_access_signature(hub: str, device: str, key: bytes, *, expiry_s: int) -> str:
    """The password of a device with a symmetric key.

    Args:
        hub: Host name of the hub.
        device: Id of the device in it.
        key: Its key, decoded.
        expiry_s: Seconds since 1970 until which it is good.

    Source: Microsoft, "Control access to IoT Hub by using shared access signatures".
    """
    resource = quote(f"{hub}/devices/{device}", safe="")
    digest = hmac.new(key, f"{resource}\n{expiry_s}".encode(), hashlib.sha256).digest()
    return f"SharedAccessSignature sr={resource}&sig={quote(base64.b64encode(digest), safe='')}&se={expiry_s}"


def _key(text: str, label: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ConfigError(f"sink {label}: key_base64_file holds no base64", hint="copy the device's primary key from the hub") from error


async def _nothing(_connection: object) -> None:
    pass
