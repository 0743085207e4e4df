"""Delivery to Kafka: one event a message, the device its key, so that a partition keeps each device's order.

The producer is idempotent and waits for all replicas (``acks=all``): what is accepted is as durable as its topic is configured to be.
Whether a cloud has it is another matter: ``tinyfleet cloud ingest --from kafka://...`` brings it there.
"""

from __future__ import annotations

import asyncio
import logging
import select
import time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from tinyfleet.cloud_events import SCHEMA, Encoding, batch_events, encode_event
from tinyfleet.gateway.sinks.sink import Delivered, Delivery, SinkContext
from tinyfleet.gateway.sinks.tls import TlsSinkSettings
from tinyfleet.kafka_options import client_options, kafka_address
from tinyfleet.telemetry import Batch
from tinyfleet_codegen.errors import ConfigError, SetupError, SinkError

log = logging.getLogger(__name__)

POLL_S = 0.005
LINGER_MS = 5
GATEWAY_KEY = b"gateway"
"""Key of what is about no device."""


def _kafka_url(url: str) -> str:
    kafka_address(url)
    return url


class KafkaSinkSettings(TlsSinkSettings):
    """``[[sink]]`` of type ``kafka``: a topic of a cluster."""

    delivery: ClassVar[Delivery] = Delivery.BROKER

    type: Literal["kafka"] = Field(description="'kafka'")
    url: Annotated[str, AfterValidator(_kafka_url)] = Field(
        description="kafka://HOST:PORT[,HOST:PORT][/TOPIC], or kafkas:// for TLS; default topic: tinyfleet.telemetry.v1"
    )
    hold: bool = Field(default=False, description="true or false: keep each entry in the outbox until the brokers have it")
    username: str | None = Field(default=None, min_length=1, description="a user, for SASL")
    password_file: str | None = Field(
        default=None, min_length=1, description="a file with the password, relative to the configuration file"
    )
    password_env: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="name of an environment variable with the password"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'; where there is a username"
    )
    encoding: Annotated[Encoding, Field(strict=False)] = Field(default=Encoding.JSON, description="'json' or 'cbor'")
    timeout_s: float = Field(default=30.0, ge=0.1, le=600, description="seconds for one delivery, 0.1 to 600")

    @property
    def holds(self) -> bool:
        """See :class:`SinkSettings`."""
        return self.hold

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        if self.password_file is not None and self.password_env is not None:
            return f"password_env = {self.password_env!r}: allowed: not together with password_file"
        if not self.url.startswith("kafkas:") and (self.ca_file or self.cert_file):
            return f"url = {self.url!r}: allowed: kafkas:// where ca_file or cert_file is given"
        return super().problem()

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        who = f"with user {self.username}" if self.username else "without user"
        return f"{self.url}, {who}{', with certificate' if self.cert_file else ''}"

    def open(self, context: SinkContext) -> KafkaSink:
        """See :class:`SinkSettings`."""
        password = context.secret(f"sink {self.label}: password", file=self.password_file, env=self.password_env)
        if self.url.startswith("kafkas:"):
            self.tls(context)  # says clearly what is wrong with the files; the library has its own way to read them
        files = {"ca": self.ca_file, "certificate": self.cert_file, "key": self.key_file}
        options = client_options(
            self.url,
            **{name: None if file is None else context.path(file) for name, file in files.items()},
            username=self.username,
            password=None if password is None else password.get_secret_value(),
            mechanism=self.sasl_mechanism,
        )
        return KafkaSink(self, options)


class KafkaSink:
    """One topic.

    Args:
        settings: Its table in the configuration.
        options: librdkafka's, to reach the cluster.

    Raises:
        SetupError: the package is not installed.
        ConfigError: the library does not take an option.
    """

    def __init__(self, settings: KafkaSinkSettings, options: dict[str, str | int | bool]) -> None:
        try:
            import confluent_kafka  # noqa: PLC0415 (an optional extra)
        except ModuleNotFoundError as error:
            raise SetupError(f"Kafka needs the package {error.name}", hint="pip install 'tinyfleet[kafka]'") from error
        self._kafka = confluent_kafka
        self.name = settings.url
        self._settings = settings
        self._topic = kafka_address(settings.url)[1]
        self._options = options | {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": LINGER_MS,
            "delivery.timeout.ms": max(LINGER_MS + 1, int(settings.timeout_s * 1000)),
            "socket.timeout.ms": max(10, min(60_000, int(settings.timeout_s * 1000))),
            "message.max.bytes": 2 * 2**20,
        }
        self._producer: Any = None
        self._turn = asyncio.Lock()
        self._is_closed = False
        try:
            self._open()
        except (self._kafka.KafkaException, ValueError) as error:
            raise ConfigError(f"sink {settings.label}: {error}", hint="docs/spec/config.md lists every key") from error

    def _open(self) -> None:
        self._producer = self._kafka.Producer(self._options)

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`."""
        # Cancelled, the thread still ends its work before the next one has its turn.
        return await asyncio.shield(asyncio.ensure_future(self._in_turn(batch)))

    async def _in_turn(self, batch: Batch) -> Delivered:
        async with self._turn:
            return await asyncio.to_thread(self._produce, batch)

    def _produce(self, batch: Batch) -> Delivered:
        """Hand all over, and wait until the fate of each is known."""
        if self._producer is None:
            self._open()
        encoding = self._settings.encoding
        headers = [("content-type", encoding.event_type.encode()), ("schema-id", SCHEMA.encode())]
        events = batch_events(batch, encoding)
        fates: list[Any] = [None] * len(events)
        waiting = len(events)

        def on_delivery(index: int, error: Any) -> None:
            nonlocal waiting
            fates[index] = error or True
            waiting -= 1

        for index, event in enumerate(events):
            device = event["data"].get("device_id")
            try:
                self._producer.produce(
                    self._topic,
                    key=GATEWAY_KEY if device is None else device.encode(),
                    value=encode_event(event, encoding),
                    headers=headers,
                    on_delivery=lambda error, _message, index=index: on_delivery(index, error),
                )
            except (self._kafka.KafkaException, BufferError) as error:
                on_delivery(index, error)
        deadline = time.monotonic() + self._settings.timeout_s + 1.0
        while waiting and time.monotonic() < deadline and not self._is_closed:
            self._producer.poll(0)
            if waiting:
                # Not the library's own wait: that is for a time on a clock that may be set back meanwhile.
                select.select([], [], [], POLL_S)
        return self._judge(batch, fates)

    def _judge(self, batch: Batch, fates: list[Any]) -> Delivered:
        """What became of each event: the envelopes first, then the loss reports."""
        errors = [fate for fate in fates if fate is not True]
        if any(_is_fatal(error) for error in errors):
            # An idempotent producer that lost count says so once, and must be made anew.
            log.warning("producer made anew sink=%s error=%s", self.name, errors[0])
            self._producer.purge()
            self._producer = None
        too_large = self._kafka.KafkaError.MSG_SIZE_TOO_LARGE
        entries = [(e.entry, fate) for e, fate in zip(batch.envelopes, fates, strict=False)]
        accepted = frozenset(entry for entry, fate in entries if fate is True)
        refused = tuple((entry, str(fate)[:200]) for entry, fate in entries if fate is not True and _code(fate) == too_large)
        lost_reports = any(fate is not True for fate in fates[len(batch.envelopes) :])
        if lost_reports or (errors and not accepted and not refused):
            raise SinkError(f"cannot deliver to {self.name}: {errors[0] or 'no answer in time'}", retryable=True)
        return Delivered(accepted, refused)

    async def close(self) -> None:
        """Give up what is under way; it is offered again."""
        self._is_closed = True  # who waits for answers in a thread sees it
        async with self._turn:
            if self._producer is not None:
                self._producer.purge()
            self._producer = None


def _error(fate: Any) -> Any:
    """librdkafka's error in what was raised or told."""
    return fate.args[0] if isinstance(fate, Exception) and fate.args else fate


def _code(fate: Any) -> int | None:
    code = getattr(_error(fate), "code", None)
    return int(code()) if callable(code) else None


def _is_fatal(fate: Any) -> bool:
    fatal = getattr(_error(fate), "fatal", None)
    return bool(fatal()) if callable(fatal) else False
