"""The record schema, version 1: what a gateway says to the world, as CloudEvents 1.0 in JSON or CBOR.

One record, derived record or loss report is one event; a delivery is a batch of them. Attribute by attribute:
``docs/spec/telemetry.md``::

    body = encode_events(batch_events(batch, Encoding.JSON), Encoding.JSON)
    for event in decode_events(body, Encoding.JSON):
        read_event(event, Encoding.JSON)  # Envelope, DerivedEnvelope or LossEvent, checked
"""

from __future__ import annotations

import base64
import enum
import io
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cbor2
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from tinyfleet.telemetry import Batch, DerivedEnvelope, Envelope, LossReport, checked_envelope, format_utc, parse_utc
from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.wire.record import HEADER_BYTES, MAX_OUTPUT_BYTES, decode_record

SCHEMA = "urn:tinyfleet:telemetry:1"
"""``dataschema`` of every event: the schema and its version."""
RECORD_TYPE = "tinyfleet.record.v1"
DERIVED_TYPE = "tinyfleet.derived.v1"
LOSS_TYPE = "tinyfleet.loss.v1"

DERIVED_LIMIT_BYTES = 256 * 2**10
"""Longest body of a derived record, written as JSON: a raw window fits."""
_RECORD_LIMIT_BYTES = HEADER_BYTES + MAX_OUTPUT_BYTES


class Encoding(enum.StrEnum):
    """How events are written."""

    JSON = "json"
    CBOR = "cbor"

    @property
    def event_type(self) -> str:
        """Media type of one event."""
        return f"application/cloudevents+{self.value}"

    @property
    def batch_type(self) -> str:
        """Media type of a batch."""
        return f"application/cloudevents-batch+{self.value}"


@dataclass(frozen=True, slots=True)
class LossEvent:
    """A loss report and whose it is."""

    report: LossReport
    gateway_id: str
    outbox_id: bytes


def batch_events(batch: Batch, encoding: Encoding) -> list[dict[str, Any]]:
    """All of a delivery: first the envelopes in their order, then the loss reports."""
    events = [envelope_event(envelope, encoding) for envelope in batch.envelopes]
    return events + [loss_event(LossEvent(report, batch.gateway_id, batch.outbox_id)) for report in batch.reports]


def envelope_event(envelope: Envelope | DerivedEnvelope, encoding: Encoding) -> dict[str, Any]:
    """A record or a derived record as an event."""
    return record_event(envelope, encoding) if isinstance(envelope, Envelope) else derived_event(envelope)


def record_event(envelope: Envelope, encoding: Encoding) -> dict[str, Any]:
    """One record as an event, its bytes unchanged in ``data.record``, and what they say beside them."""
    e, i = envelope, envelope.identity
    record = decode_record(e.record)
    device = i.device_id.hex()
    data = {
        "gateway_id": e.gateway_id,
        "outbox_id": e.outbox_id.hex(),
        "entry": e.entry,
        "device_id": device,
        "boot_id": i.boot_id,
        "seq": i.seq,
        "time_error_us": e.time_error_us,
        "model_id": None if e.model_id is None else e.model_id.hex(),
        "stream": record.stream,
        "sample_index": record.sample_index,
        "latency_us": record.latency_us,
        "uptime_us": record.uptime_us,
        "top": record.top,
        "record": _bytes(e.record, encoding),
    }
    return _event(RECORD_TYPE, f"urn:tinyfleet:device:{device}", f"{i.boot_id}/{i.seq}", data, e.time_utc_us)


def derived_event(envelope: DerivedEnvelope) -> dict[str, Any]:
    """A derived record as an event."""
    e = envelope
    outbox = e.outbox_id.hex()
    data = {
        "gateway_id": e.gateway_id,
        "outbox_id": outbox,
        "entry": e.entry,
        "kind": e.kind,
        "number": e.number,
        "device_id": None if e.device_id is None else e.device_id.hex(),
        "boot_id": e.boot_id,
        "first_seq": e.first_seq,
        "last_seq": e.last_seq,
        "count": e.count,
        "time_error_us": e.time_error_us,
        "model_id": None if e.model_id is None else e.model_id.hex(),
        "body": from_json(e.body),
    }
    return _event(DERIVED_TYPE, f"urn:tinyfleet:outbox:{outbox}", f"{e.kind}/{e.number}", data, e.time_utc_us)


def loss_event(loss: LossEvent) -> dict[str, Any]:
    """Totals of what one outbox will never deliver of one boot; a later one replaces an earlier one."""
    r = loss.report
    outbox, device = loss.outbox_id.hex(), r.device_id.hex()
    data = {
        "gateway_id": loss.gateway_id,
        "outbox_id": outbox,
        "device_id": device,
        "boot_id": r.boot_id,
        "lost": r.lost,
        "dropped": r.dropped,
        "filtered": r.filtered,
    }
    return _event(LOSS_TYPE, f"urn:tinyfleet:outbox:{outbox}", f"loss/{device}/{r.boot_id}/{r.lost}/{r.dropped}/{r.filtered}", data)


def _event(kind: str, source: str, event_id: str, data: dict[str, Any], time_utc_us: int | None = None) -> dict[str, Any]:
    time = {} if time_utc_us is None else {"time": format_utc(time_utc_us)}
    return {"specversion": "1.0", "type": kind, "source": source, "id": event_id, "dataschema": SCHEMA, **time, "data": data}


def encode_event(event: dict[str, Any], encoding: Encoding) -> bytes:
    """One event in structured mode."""
    return to_json(event) if encoding is Encoding.JSON else cbor2.dumps(event)


def encode_events(events: list[dict[str, Any]], encoding: Encoding) -> bytes:
    """A batch of events."""
    return to_json(events) if encoding is Encoding.JSON else cbor2.dumps(events)


def decode_events(body: bytes, encoding: Encoding) -> list[Any]:
    """Undo :func:`encode_events`; the events are not looked at.

    Raises:
        ProtocolError: the bytes are no list in that encoding.
    """
    try:
        events = from_json(body) if encoding is Encoding.JSON else _from_cbor(body)
    except (ValueError, cbor2.CBORDecodeError, RecursionError) as error:
        raise ProtocolError(f"not {encoding.value}: {error}") from error
    if not isinstance(events, list):
        raise ProtocolError("a batch of events is a list")
    return events


def read_event(event: Any, encoding: Encoding) -> Envelope | DerivedEnvelope | LossEvent:
    """Check one decoded event.

    Raises:
        ProtocolError: it is not of this schema, its bytes are no record, or it names another identity than they do.
    """
    try:
        message = _EVENT.validate_python(event)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ProtocolError(f"{'.'.join(str(part) for part in first['loc']) or 'event'}: {first['msg']}") from error
    return message.item(encoding)


def _bytes(data: bytes, encoding: Encoding) -> bytes | str:
    return data if encoding is Encoding.CBOR else base64.b64encode(data).decode("ascii")


def _from_cbor(body: bytes) -> Any:
    stream = io.BytesIO(body)
    value = cbor2.CBORDecoder(stream).decode()
    if stream.tell() != len(body) and stream.read(1):
        raise ValueError("bytes after the batch")
    return value


_Uint32 = Annotated[int, Field(ge=0, lt=2**32)]
_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Hex16 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_GatewayId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class _Checked(BaseModel):
    # Unknown keys are ignored: a newer gateway of the same version may say more.
    model_config = ConfigDict(strict=True, frozen=True)


class _RecordData(_Checked):
    gateway_id: _GatewayId
    outbox_id: _Hex16
    entry: _Count
    device_id: _Hex16
    boot_id: _Uint32
    seq: _Uint32
    time_error_us: _Count | None = None
    model_id: _Hex32 | None = None
    record: Annotated[str, Field(max_length=4 * ((_RECORD_LIMIT_BYTES + 2) // 3))] | Annotated[bytes, Field(max_length=_RECORD_LIMIT_BYTES)]


class _DerivedData(_Checked):
    gateway_id: _GatewayId
    outbox_id: _Hex16
    entry: _Count
    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    number: _Count
    device_id: _Hex16 | None = None
    boot_id: _Uint32 | None = None
    first_seq: _Uint32 | None = None
    last_seq: _Uint32 | None = None
    count: _Count
    time_error_us: _Count | None = None
    model_id: _Hex32 | None = None
    body: dict[str, Any]


class _LossData(_Checked):
    gateway_id: _GatewayId
    outbox_id: _Hex16
    device_id: _Hex16
    boot_id: _Uint32
    lost: _Count
    dropped: _Count
    filtered: _Count = 0


class _Event(_Checked):
    specversion: Literal["1.0"]
    source: str
    id: str
    dataschema: Literal["urn:tinyfleet:telemetry:1"]

    def expect(self, source: str, event_id: str) -> None:
        """The event's own name must follow from what is in it: consumers that only look outside decide the same."""
        if (self.source, self.id) != (source, event_id):
            raise ProtocolError(f"event {self.source[:80]} {self.id[:80]} holds {source} {event_id}")


class _RecordEvent(_Event):
    type: Literal["tinyfleet.record.v1"]
    time: Annotated[str, Field(max_length=40)] | None = None
    data: _RecordData

    def item(self, encoding: Encoding) -> Envelope:
        """The record in its envelope."""
        d = self.data
        self.expect(f"urn:tinyfleet:device:{d.device_id}", f"{d.boot_id}/{d.seq}")
        if isinstance(d.record, bytes) is not (encoding is Encoding.CBOR):
            raise ProtocolError("data.record is base64 in JSON and a byte string in CBOR")
        return checked_envelope(
            d.record,
            device_id=d.device_id,
            boot_id=d.boot_id,
            seq=d.seq,
            time_utc=self.time,
            time_error_us=d.time_error_us,
            model_id=d.model_id,
            gateway_id=d.gateway_id,
            outbox_id=bytes.fromhex(d.outbox_id),
            entry=d.entry,
        )


class _DerivedEvent(_Event):
    type: Literal["tinyfleet.derived.v1"]
    time: Annotated[str, Field(max_length=40)] | None = None
    data: _DerivedData

    def item(self, _encoding: Encoding) -> DerivedEnvelope:
        """The derived record, its body written in one way."""
        d = self.data
        self.expect(f"urn:tinyfleet:outbox:{d.outbox_id}", f"{d.kind}/{d.number}")
        if (d.device_id is None) is not (d.boot_id is None):
            raise ProtocolError("a derived record names a device and its boot, or neither")
        try:
            # A float that is no number, or bytes from CBOR, cannot be written.
            body = json.dumps(d.body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ProtocolError(f"data.body is not JSON: {error}") from error
        if len(body) > DERIVED_LIMIT_BYTES:
            raise ProtocolError(f"data.body has {len(body)} bytes, {DERIVED_LIMIT_BYTES} are allowed")
        return DerivedEnvelope(
            kind=d.kind,
            number=d.number,
            device_id=None if d.device_id is None else bytes.fromhex(d.device_id),
            boot_id=d.boot_id,
            first_seq=d.first_seq,
            last_seq=d.last_seq,
            count=d.count,
            body=body,
            time_utc_us=None if self.time is None else parse_utc(self.time),
            time_error_us=d.time_error_us,
            model_id=None if d.model_id is None else bytes.fromhex(d.model_id),
            gateway_id=d.gateway_id,
            outbox_id=bytes.fromhex(d.outbox_id),
            entry=d.entry,
        )


class _LossEvent(_Event):
    type: Literal["tinyfleet.loss.v1"]
    data: _LossData

    def item(self, _encoding: Encoding) -> LossEvent:
        """The report as the store takes it."""
        d = self.data
        report = LossReport(bytes.fromhex(d.device_id), d.boot_id, d.lost, d.dropped, d.filtered)
        self.expect(f"urn:tinyfleet:outbox:{d.outbox_id}", f"loss/{d.device_id}/{d.boot_id}/{d.lost}/{d.dropped}/{d.filtered}")
        return LossEvent(report, d.gateway_id, bytes.fromhex(d.outbox_id))


_AnyEvent = _RecordEvent | _DerivedEvent | _LossEvent
_EVENT: TypeAdapter[_AnyEvent] = TypeAdapter(Annotated[_AnyEvent, Field(discriminator="type")])
