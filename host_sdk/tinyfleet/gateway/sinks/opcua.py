"""An OPC UA server in the gateway: one object per device with typed variables, events for detections, history from the outbox.

Basic256Sha256, signed and encrypted, and nothing else; clients show a certificate that the configuration trusts. It is live: who is not
connected sees nothing, but ``HistoryRead`` answers from what the outbox still holds, so that a client can catch up.

::

    Objects/Tinyfleet/<device id>/Seq, Top, LatencyUs, ...   the newest record
    Objects/Tinyfleet/<device id>/Event                      every event as CloudEvents JSON; has history, as the others have
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from tinyfleet.cloud_events import Encoding, LossEvent, derived_event, encode_event, loss_event, record_event
from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.sinks.fields import RECORD_FIELDS
from tinyfleet.gateway.sinks.sink import Delivered, Delivery, History, SinkContext, SinkSettings
from tinyfleet.opcua_trust import is_trusted, load_trusted
from tinyfleet.telemetry import Batch, Envelope
from tinyfleet_codegen.errors import ConfigError, SetupError, SinkError
from tinyfleet_codegen.wire.record import TOP_NONE, Record, decode_record

if TYPE_CHECKING:
    from asyncua import Node, Server

log = logging.getLogger(__name__)

NAMESPACE = "urn:tinyfleet:opcua:1"
FOLDER = "Tinyfleet"
EVENT = "Event"
HISTORY_LIMIT = 1000
"""Values in one answer to a HistoryRead; the continuation point leads to the next."""
RETRY_FIRST_S = 0.5
RETRY_LIMIT_S = 10.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _listen_url(url: str) -> str:
    match = re.fullmatch(r"opc\.tcp://([^\s/:]+):(\d{1,5})", url)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError("not such a URL")
    return url


class OpcUaSinkSettings(SinkSettings):
    """``[[sink]]`` of type ``opcua``: a server that others read."""

    delivery: ClassVar[Delivery] = Delivery.LIVE

    type: Literal["opcua"] = Field(description="'opcua'")
    url: Annotated[str, AfterValidator(_listen_url)] = Field(description="opc.tcp://ADDRESS:PORT to listen on")
    cert_file: str = Field(min_length=1, description="a PEM file with the server's RSA certificate, relative to the configuration file")
    key_file: str = Field(min_length=1, description="a PEM file with the key of cert_file")
    client_ca_file: str = Field(
        min_length=1, description="a PEM file: certificates of clients, or of who signs them; all others are refused"
    )

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        return f"{self.url}, OPC UA, signed and encrypted"

    def open(self, context: SinkContext) -> OpcUaSink:
        """See :class:`SinkSettings`."""
        try:
            import asyncua  # noqa: F401, PLC0415 (an optional extra)
        except ModuleNotFoundError as error:
            raise SetupError(f"OPC UA needs the package {error.name}", hint="pip install 'tinyfleet[opcua]'") from error
        return OpcUaSink(self, context)


@dataclass(frozen=True, slots=True)
class _Variable:
    """One variable of a device; ``kind`` is the name of an OPC UA type."""

    kind: str
    value: Callable[[Envelope, Record], Any]


_VARIABLES: dict[str, _Variable] = {
    **{name: _Variable(field.opcua, field.value) for name, field in RECORD_FIELDS.items()},
    "TimeErrorUs": _Variable("Int64", lambda e, _: -1 if e.time_error_us is None else e.time_error_us),
    "Output": _Variable("ByteString", lambda _, r: r.output),
    EVENT: _Variable("String", lambda e, _: encode_event(record_event(e, Encoding.JSON), Encoding.JSON).decode()),
}


@dataclass(slots=True)
class _DeviceObject:
    """A device in the address space."""

    node: Node
    variables: dict[str, Node]
    top: int | None = None


class OpcUaSink:
    """One server.

    Args:
        settings: Its table in the configuration.
        context: The gateway that it belongs to.

    Raises:
        ConfigError: a file cannot be used.
    """

    def __init__(self, settings: OpcUaSinkSettings, context: SinkContext) -> None:
        self.name = settings.url
        self._settings = settings
        self._context = context
        key = f"sink {settings.label}"
        self._trusted = load_trusted(context.path(settings.client_ca_file), f"{key}: client_ca_file")
        load_trusted(context.path(settings.cert_file), f"{key}: cert_file")
        if not context.path(settings.key_file).is_file():
            raise ConfigError(f"{key}: key_file: there is no {context.path(settings.key_file)}", hint="a PEM file")
        self._server: Server | None = None
        self._namespace = 0
        self._folder: Node | None = None
        self._generator: Any = None
        self._devices: dict[bytes | None, _DeviceObject] = {}
        self._starting = asyncio.Lock()
        # Who reads history must not wait for the next record. Closed at once, it never begins: nobody was contacted.
        self._serving = asyncio.get_running_loop().create_task(self._serve(), name=f"opc ua server {self.name}")

    async def _serve(self) -> None:
        """Start as soon as it can be."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
        while True:
            try:
                return await self._started()
            except SinkError as error:
                log.warning("not serving yet sink=%s error=%s hint=%s", self.name, error, error.hint)
                await asyncio.sleep(backoff.next_s())

    async def _started(self) -> None:
        async with self._starting:
            if self._server is None:
                await self._start()

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`."""
        await self._started()
        assert self._server is not None
        newest: dict[bytes, tuple[Envelope, Record]] = {}
        for envelope in batch.envelopes:
            if isinstance(envelope, Envelope):
                newest[envelope.identity.device_id] = (envelope, await self._show_event(self._server, envelope))
            else:
                await self._show(self._server, envelope.device_id, derived_event(envelope))
        for report in batch.reports:
            await self._show(self._server, report.device_id, loss_event(LossEvent(report, batch.gateway_id, batch.outbox_id)))
        # What people look at is the newest record; the event variable has had every one.
        for device_id, (envelope, record) in newest.items():
            for name, variable in _VARIABLES.items():
                if name != EVENT:
                    node = self._devices[device_id].variables[name]
                    await self._server.write_attribute_value(node.nodeid, _data_value(variable, envelope, record))
        return Delivered(frozenset(e.entry for e in batch.envelopes))

    async def _start(self) -> None:
        from asyncua import Server, ua  # noqa: PLC0415 (an optional extra)

        settings, context = self._settings, self._context
        server = Server(user_manager=_Users(self._trusted))
        server.set_endpoint(settings.url)
        try:
            await server.init()
            await server.set_application_uri(f"urn:tinyfleet:gateway:{context.gateway_id}")
            server.set_server_name(f"tinyfleet gateway {context.gateway_id}")
            server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
            server.set_identity_tokens([ua.X509IdentityToken])
            await server.load_certificate(context.path(settings.cert_file), "pem")
            await server.load_private_key(context.path(settings.key_file), format="pem")
            self._namespace = await server.register_namespace(NAMESPACE)
            self._folder = await server.nodes.objects.add_folder(self._namespace, FOLDER)
            self._devices.clear()
            server.iserver.history_manager.set_storage(_OutboxHistory(context.history, self._node_of))
            detection = await server.create_custom_event_type(
                self._namespace,
                "DetectionEventType",
                ua.ObjectIds.BaseEventType,
                [("DeviceId", ua.VariantType.String), ("Top", ua.VariantType.Byte)],
            )
            self._generator = await server.get_event_generator(detection, emitting_node=self._folder)
            for device_id in await context.devices():
                await self._object(device_id)
            await server.start()
        except (OSError, ValueError, TypeError, ua.UaError) as error:
            with contextlib.suppress(Exception):
                await server.stop()
            raise SinkError(
                f"cannot serve on {settings.url}: {str(error) or type(error).__name__}",
                retryable=True,
                hint="is the port free, the key an RSA key?",
            ) from error
        self._server = server
        log.info("serving sink=%s", self.name)

    async def _object(self, device_id: bytes | None) -> _DeviceObject:
        known = self._devices.get(device_id)
        if known is not None:
            return known
        from asyncua import ua  # noqa: PLC0415

        assert self._folder is not None
        name = "gateway" if device_id is None else device_id.hex()
        node = await self._folder.add_object(self._identifier(name), f"{self._namespace}:{name}")
        variables: dict[str, Node] = {}
        for label, variable in _VARIABLES.items():
            kind = ua.VariantType[variable.kind]
            empty = ua.Variant({"String": "", "ByteString": b""}.get(variable.kind, 0), kind)
            made = await node.add_variable(self._identifier(f"{name}/{label}"), f"{self._namespace}:{label}", empty)
            await made.write_attribute(ua.AttributeIds.Historizing, ua.DataValue(ua.Variant(True, ua.VariantType.Boolean)))
            await made.set_attr_bit(ua.AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
            await made.set_attr_bit(ua.AttributeIds.UserAccessLevel, ua.AccessLevel.HistoryRead)
            variables[label] = made
        self._devices[device_id] = _DeviceObject(node, variables)
        return self._devices[device_id]

    def _identifier(self, text: str) -> Any:
        from asyncua import ua  # noqa: PLC0415

        return ua.NodeId(text, self._namespace)

    def _node_of(self, node_id: Any) -> tuple[bytes, _Variable] | None:
        """The device and the variable of a node."""
        device, _, label = str(node_id.Identifier).partition("/")
        if label not in _VARIABLES or not re.fullmatch(r"[0-9a-f]{32}", device):
            return None
        return bytes.fromhex(device), _VARIABLES[label]

    async def _show_event(self, server: Server, envelope: Envelope) -> Record:
        record = decode_record(envelope.record)
        device = await self._object(envelope.identity.device_id)
        await server.write_attribute_value(device.variables[EVENT].nodeid, _data_value(_VARIABLES[EVENT], envelope, record))
        if record.top not in (TOP_NONE, device.top):
            self._generator.event.DeviceId = envelope.identity.device_id.hex()
            self._generator.event.Top = record.top
            self._generator.event.Message = _text(f"class {record.top}")
            await self._generator.trigger(time_attr=None if envelope.time_utc_us is None else _moment(envelope.time_utc_us))
        device.top = record.top
        return record

    async def _show(self, server: Server, device_id: bytes | None, event: dict[str, Any]) -> None:
        """An event that is no record."""
        from asyncua import ua  # noqa: PLC0415

        device = await self._object(device_id)
        text = encode_event(event, Encoding.JSON).decode()
        await server.write_attribute_value(device.variables[EVENT].nodeid, ua.DataValue(ua.Variant(text, ua.VariantType.String)))

    async def close(self) -> None:
        """Stop serving."""
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        server, self._server = self._server, None
        if server is not None:
            await server.stop()


class _Users:
    """Lets in who shows a certificate that is trusted; nobody may change anything."""

    def __init__(self, trusted: list[Any]) -> None:
        self._trusted = trusted

    def get_user(self, _server: Any, username: str | None = None, password: str | None = None, certificate: Any = None) -> Any:
        """See asyncua's user managers: None refuses."""
        from asyncua.crypto.permission_rules import User, UserRole  # noqa: PLC0415
        from cryptography import x509  # noqa: PLC0415

        if certificate is None:
            return None
        try:
            shown = x509.load_der_x509_certificate(certificate) if isinstance(certificate, bytes) else certificate
        except ValueError:
            return None
        return User(role=UserRole.User, name=shown.subject.rfc4514_string()) if is_trusted(shown, self._trusted) else None


class _OutboxHistory:
    """asyncua's history storage on top of the outbox: nothing is stored twice."""

    def __init__(self, history: History, node_of: Callable[[Any], tuple[bytes, _Variable] | None]) -> None:
        self._history = history
        self._node_of = node_of

    async def init(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def new_historized_node(self, *_: Any) -> None:
        """Every variable has history."""

    async def save_node_value(self, *_: Any) -> None:
        """The outbox has it already."""

    async def new_historized_event(self, *_: Any) -> None:
        """Events have no history of their own."""

    async def save_event(self, *_: Any) -> None:
        """See above."""

    async def read_event_history(self, *_: Any) -> tuple[list[Any], None]:
        """See above."""
        return [], None

    async def read_node_history(
        self, node_id: Any, start: datetime | None, end: datetime | None, count: int
    ) -> tuple[list[Any], datetime | None]:
        """Values between two moments, ends included, oldest first; the newest first where ``start`` is the later one."""
        found = self._node_of(node_id)
        if found is None:
            return [], None
        device_id, variable = found
        first_us, last_us = _microseconds(start, 0), _microseconds(end, 2**62)
        limit = min(count or HISTORY_LIMIT, HISTORY_LIMIT)
        envelopes = await self._history(device_id, first_us, last_us, limit)
        if count:
            envelopes = envelopes[:limit]
        values = [_data_value(variable, e, decode_record(e.record)) for e in envelopes]
        if count or first_us > last_us or len(envelopes) < limit:
            return values, None
        latest_us = envelopes[-1].time_utc_us
        return values, None if latest_us is None else _moment(latest_us + 1)


def _microseconds(moment: datetime | None, otherwise: int) -> int:
    """Microseconds since 1970; OPC UA's own epoch, 1601, stands for no moment."""
    if moment is None or moment.year <= 1601:
        return otherwise
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _moment(time_utc_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_utc_us)


def _data_value(variable: _Variable, envelope: Envelope, record: Record) -> Any:
    from asyncua import ua  # noqa: PLC0415

    value = ua.Variant(variable.value(envelope, record), ua.VariantType[variable.kind])
    source = None if envelope.time_utc_us is None else _moment(envelope.time_utc_us)
    return ua.DataValue(value, SourceTimestamp=source, ServerTimestamp=datetime.now(UTC))


def _text(text: str) -> Any:
    from asyncua import ua  # noqa: PLC0415

    return ua.LocalizedText(text)
