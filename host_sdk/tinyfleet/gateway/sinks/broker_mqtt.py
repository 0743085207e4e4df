"""What profiles of other people's brokers share: they take messages, and nobody behind them acknowledges records.

So their delivery is ``broker``: the outbox keeps entries for them only where the sink says ``hold = true``, until the broker's PUBACK.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from tinyfleet.cloud_events import Encoding, LossEvent, encode_events, envelope_event, loss_event
from tinyfleet.gateway.sinks.sink import Delivery, SinkContext
from tinyfleet.gateway.sinks.tls import TlsSinkSettings
from tinyfleet.mqtt_topics import mqtt_address
from tinyfleet.telemetry import Batch, DerivedEnvelope, Envelope

if TYPE_CHECKING:
    from tinyfleet.mqtt import MqttEndpoint


def _mqtt_url(url: str) -> str:
    mqtt_address(url)
    return url


class BrokerMqttSettings(TlsSinkSettings):
    """The keys that those sinks share."""

    delivery: ClassVar[Delivery] = Delivery.BROKER

    url: Annotated[str, AfterValidator(_mqtt_url)] = Field(description="mqtts://HOST[:8883], or mqtt://HOST[:1883] for a test")
    hold: bool = Field(default=False, description="true or false: keep each entry in the outbox until the broker has it")
    keepalive_s: int = Field(default=30, ge=1, le=3600, description="seconds of silence after which the broker is asked, 1 to 3600")
    timeout_s: float = Field(default=10.0, ge=0.1, le=600, description="seconds for the broker to answer, 0.1 to 600")

    @property
    def holds(self) -> bool:
        """See :class:`SinkSettings`."""
        return self.hold

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        if not mqtt_address(self.url)[2] and (self.ca_file or self.cert_file):
            return f"url = {self.url!r}: allowed: mqtts:// where ca_file or cert_file is given"
        return super().problem()

    def endpoint_maker(
        self, context: SinkContext, *, is_v5: bool, username: str | None = None, password: Callable[[], str | None] = lambda: None
    ) -> Callable[[], MqttEndpoint]:
        """How the broker is reached; files are read now, the password for each connection.

        Raises:
            ConfigError: a file cannot be used.
            SetupError: the package is not installed.
        """
        from tinyfleet.mqtt import MqttEndpoint  # noqa: PLC0415 (an optional extra)

        host, port, is_tls = mqtt_address(self.url)
        tls: ssl.SSLContext | None = self.tls(context) if is_tls else None

        def make() -> MqttEndpoint:
            return MqttEndpoint(host, port, tls, username, password(), is_v5, self.keepalive_s, self.timeout_s)

        return make


def payloads_by_device(batch: Batch) -> list[tuple[bytes | None, bytes]]:
    """What is said about each device as a batch of events in JSON; losses in one of their own: no record is too large because of them."""
    payloads: list[tuple[bytes | None, bytes]] = [
        (device_id, encode_events([envelope_event(e, Encoding.JSON) for e in held], Encoding.JSON))
        for device_id, held in by_device(batch).items()
    ]
    losses: dict[bytes, list[dict[str, Any]]] = {}
    for report in batch.reports:
        losses.setdefault(report.device_id, []).append(loss_event(LossEvent(report, batch.gateway_id, batch.outbox_id)))
    return payloads + [(device_id, encode_events(events, Encoding.JSON)) for device_id, events in losses.items()]


def by_device(batch: Batch) -> dict[bytes | None, list[Envelope | DerivedEnvelope]]:
    """The envelopes of each device, in their order; None: what is about no device."""
    found: dict[bytes | None, list[Envelope | DerivedEnvelope]] = {}
    for envelope in batch.envelopes:
        device_id = envelope.identity.device_id if isinstance(envelope, Envelope) else envelope.device_id
        found.setdefault(device_id, []).append(envelope)
    return found
