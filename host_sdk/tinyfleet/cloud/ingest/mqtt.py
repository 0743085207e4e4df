"""From a broker: each message is a batch; the acknowledgement goes back when the cloud has committed it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Callable

from tinyfleet.cloud.ingest.forward import RETRY_FIRST_S, RETRY_LIMIT_S, Forwarder, TooLarge
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.cloud_events import Encoding
from tinyfleet.gateway.backoff import Backoff
from tinyfleet.mqtt import MqttConnection, MqttEndpoint, connect
from tinyfleet.mqtt_topics import EVERY_TELEMETRY, ack_topic, gateway_of, mqtt_address
from tinyfleet_codegen.errors import ConfigError, ProtocolError, SinkError

log = logging.getLogger(__name__)


async def ingest_mqtt(url: str, credentials: Credentials, forwarder: Forwarder, on_ready: Callable[[], None]) -> None:
    """See :class:`tinyfleet.cloud.ingest.source.Source`; ``mqtt://HOST[:PORT]`` or ``mqtts://HOST[:PORT]``. Runs until cancelled."""
    try:
        host, port, is_tls = mqtt_address(url)
    except ValueError as error:
        raise ConfigError(f"{url}: {error}", hint="mqtt://HOST[:1883] or mqtts://HOST[:8883]") from error
    endpoint = MqttEndpoint(
        host, port, tls=credentials.tls() if is_tls else None, username=credentials.username, password=credentials.password
    )
    client_id = f"tinyfleet-ingest-{secrets.token_hex(4)}"
    backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
    announce: Callable[[], None] | None = on_ready
    while True:
        try:
            connection = await connect(endpoint, client_id=client_id)
            try:
                await connection.subscribe(EVERY_TELEMETRY)
                log.info("subscribed broker=%s", endpoint)
                backoff.reset()
                if announce is not None:
                    announce()
                    announce = None
                while True:
                    topic, payload = await connection.receive()
                    await _take(connection, forwarder, topic, payload)
            finally:
                await connection.close()
        except SinkError as error:
            log.warning("ingest interrupted broker=%s error=%s hint=%s", endpoint, error, error.hint or "-")
            await asyncio.sleep(backoff.next_s())


async def _take(connection: MqttConnection, forwarder: Forwarder, topic: str, payload: bytes) -> None:
    """Forward one message and acknowledge it. What fails is not acknowledged: its gateway sends it again."""
    gateway_id = gateway_of(topic)
    if gateway_id is None:
        return
    # A JSON list begins with a bracket or white space, a CBOR list (major type 4) with none of them.
    encoding = Encoding.JSON if payload[:1].strip() in (b"[", b"") else Encoding.CBOR
    try:
        answer = await forwarder.post(payload, encoding, gateway_id=gateway_id)
    except (SinkError, ProtocolError, TooLarge) as error:
        log.warning("message not taken topic=%s bytes=%d error=%s", topic, len(payload), str(error) or type(error).__name__)
        return
    acknowledgement = {"message": hashlib.sha256(payload).hexdigest()} | answer
    await connection.publish(ack_topic(gateway_id), json.dumps(acknowledgement).encode())
