"""From Kafka: a consumer group reads a topic; offsets are committed when the cloud has committed the events before them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import groupby
from typing import Any

from tinyfleet.cloud.ingest.forward import Forwarder
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.cloud_events import Encoding
from tinyfleet.kafka_options import client_options, kafka_address
from tinyfleet_codegen.errors import ConfigError, SetupError

log = logging.getLogger(__name__)

GROUP = "tinyfleet-cloud"
BATCH_EVENTS = 1000
WAIT_S = 0.2
SESSION_MS = 10_000
"""After this silence others read what an ingest that was killed had of the topic."""


async def ingest_kafka(url: str, credentials: Credentials, forwarder: Forwarder, on_ready: Callable[[], None]) -> None:
    """See :class:`tinyfleet.cloud.ingest.source.Source`; ``kafka://HOST:PORT[,HOST:PORT][/TOPIC]`` or ``kafkas://...``.

    Runs until cancelled. Several may run: they share the partitions.
    """
    try:
        import confluent_kafka  # noqa: PLC0415 (an optional extra)
    except ModuleNotFoundError as error:
        raise SetupError(f"Kafka needs the package {error.name}", hint="pip install 'tinyfleet[kafka]'") from error
    try:
        topic = kafka_address(url)[1]
    except ValueError as error:
        raise ConfigError(f"{url}: {error}", hint="kafka://HOST:PORT[,HOST:PORT][/TOPIC]") from error
    options = client_options(
        url,
        ca=credentials.ca,
        certificate=credentials.certificate,
        key=credentials.key,
        username=credentials.username,
        password=credentials.password,
    )
    said: set[int] = set()

    def complain(error: Any) -> None:
        # librdkafka repeats itself with each attempt; again only after something arrived.
        if error.code() not in said:
            said.add(error.code())
            log.warning("ingest interrupted broker=%s error=%s", url, error.str())

    consumer = confluent_kafka.Consumer(
        options
        | {"error_cb": complain}
        | {
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 1000,
            "session.timeout.ms": SESSION_MS,
        }
    )
    try:
        consumer.subscribe([topic])
        on_ready()
        while True:
            messages = await asyncio.to_thread(consumer.consume, BATCH_EVENTS, WAIT_S)
            values = [m for m in messages if m.error() is None]
            if values:
                said.clear()
            for message in messages:
                if message.error() is not None:
                    log.warning("kafka says error=%s", message.error())
            if values:
                await _forward(forwarder, values)
                try:
                    await asyncio.to_thread(consumer.commit, asynchronous=False)
                except confluent_kafka.KafkaException as error:
                    # The events are stored; they are read again, and suppressed.
                    log.warning("offsets not committed error=%s", error)
    finally:
        await asyncio.to_thread(consumer.close)


async def _forward(forwarder: Forwarder, messages: list[Any]) -> None:
    """All in their order; returns when the cloud has each, or will never take it."""
    for encoding, run in groupby(messages, _encoding):
        await forwarder.post_all([m.value() or b"" for m in run], encoding, source="kafka")


def _encoding(message: Any) -> Encoding:
    headers = dict(message.headers() or [])
    return Encoding.CBOR if headers.get("content-type") == Encoding.CBOR.event_type.encode() else Encoding.JSON
