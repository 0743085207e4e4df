"""Telemetry on its way up: the envelope around a device's bytes, what the gateway derives from records, and what people read in them.

The record's own bytes travel unchanged from the device's ring to the cloud. JSON form, version 1: ``docs/spec/rest.md``.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.record import TOP_NONE, Record, decode_record

TELEMETRY_VERSION = 1
"""Version of the batch and of the answer to it."""

PRIORITY_SHIFT = 50
"""An entry's number, shifted right by this, is its priority: 0 is normal, higher goes first. Below 2**53, so that JSON keeps it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class RecordIdentity:
    """What makes a record this record, everywhere and for ever."""

    device_id: bytes
    boot_id: int
    seq: int

    def __str__(self) -> str:
        return f"{self.device_id.hex()}/{self.boot_id}/{self.seq}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One record with what the gateway knows about it.

    Attributes:
        identity: Device, boot and sequence number, as in the record itself.
        record: The device's bytes, unchanged.
        time_utc_us: When the record was made: microseconds since 1970 by the gateway's clock; None when it is not known.
        time_error_us: Half width of the interval around ``time_utc_us``, relative to the gateway's clock; None with it.
        model_id: SHA-256 of the model package (32 bytes); None when the device did not say.
        gateway_id: Name of the gateway that committed the record.
        outbox_id: Which outbox (16 bytes, random per database file) holds the record.
        entry: Number of the record in that outbox, never used again. The same entry twice is a repeated delivery.
    """

    identity: RecordIdentity
    record: bytes
    time_utc_us: int | None
    time_error_us: int | None
    model_id: bytes | None
    gateway_id: str
    outbox_id: bytes
    entry: int

    def to_json(self) -> dict[str, Any]:
        """The record's object in a batch; gateway and outbox stand once in the batch."""
        return {
            "entry": self.entry,
            "device_id": self.identity.device_id.hex(),
            "boot_id": self.identity.boot_id,
            "seq": self.identity.seq,
            "time_utc": None if self.time_utc_us is None else format_utc(self.time_utc_us),
            "time_error_us": self.time_error_us,
            "model_id": None if self.model_id is None else self.model_id.hex(),
            "record": base64.b64encode(self.record).decode("ascii"),
        }


def checked_envelope(
    record: str | bytes,
    *,
    device_id: str,
    boot_id: int,
    seq: int,
    time_utc: str | None,
    time_error_us: int | None,
    model_id: str | None,
    gateway_id: str,
    outbox_id: bytes,
    entry: int,
) -> Envelope:
    """A record from outside in its envelope, its bytes checked against what is said beside them.

    Args:
        record: The device's bytes, or base64 of them.
        device_id: 32 digits.
        time_utc: RFC 3339 with a zone; None: not known.
        model_id: 64 digits; None: not known.

    Raises:
        ProtocolError: the bytes or the time are malformed, or the bytes belong to another identity.
    """
    try:
        data = record if isinstance(record, bytes) else base64.b64decode(record, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(f"record is not base64: {error}") from error
    decoded = decode_record(data)
    if (decoded.boot_id, decoded.seq) != (boot_id, seq):
        raise ProtocolError(f"record {decoded.boot_id}/{decoded.seq} in the envelope of {boot_id}/{seq}")
    return Envelope(
        identity=RecordIdentity(bytes.fromhex(device_id), boot_id, seq),
        record=data,
        time_utc_us=None if time_utc is None else parse_utc(time_utc),
        time_error_us=time_error_us,
        model_id=None if model_id is None else bytes.fromhex(model_id),
        gateway_id=gateway_id,
        outbox_id=outbox_id,
        entry=entry,
    )


@dataclass(frozen=True, slots=True)
class DerivedEnvelope:
    """What a gateway says itself: an aggregate, an event, a gap, an alarm. Its identity is (outbox_id, kind, number).

    Attributes:
        kind: ``gap``, ``window``, ... : 1 to 32 of a-z and '_'.
        number: Counted up per kind in one outbox, never used again.
        device_id: The device that it is about; None: about the gateway.
        boot_id: The boot that it is about; None with ``device_id``.
        first_seq: First record of the range that it covers; None when it covers none.
        last_seq: Last record of that range (included); None when there is no range, or its end is not known.
        count: How many records of the range it stands for: they are not delivered themselves.
        body: A JSON object in UTF-8; what is in it depends on ``kind``.
        time_utc_us: See :class:`Envelope`.
        time_error_us: See :class:`Envelope`.
        model_id: See :class:`Envelope`.
        gateway_id: See :class:`Envelope`.
        outbox_id: See :class:`Envelope`.
        entry: See :class:`Envelope`; one numbering with the records.
    """

    kind: str
    number: int
    device_id: bytes | None
    boot_id: int | None
    first_seq: int | None
    last_seq: int | None
    count: int
    body: bytes
    time_utc_us: int | None
    time_error_us: int | None
    model_id: bytes | None
    gateway_id: str
    outbox_id: bytes
    entry: int

    def to_json(self) -> dict[str, Any]:
        """The derived record's object in a batch."""
        return {
            "entry": self.entry,
            "kind": self.kind,
            "number": self.number,
            "device_id": None if self.device_id is None else self.device_id.hex(),
            "boot_id": self.boot_id,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "count": self.count,
            "time_utc": None if self.time_utc_us is None else format_utc(self.time_utc_us),
            "time_error_us": self.time_error_us,
            "model_id": None if self.model_id is None else self.model_id.hex(),
            "body": json.loads(self.body),
        }


@dataclass(frozen=True, slots=True)
class LossReport:
    """What one outbox will never deliver to one sink of one boot of one device; totals, so that a report may be repeated.

    Attributes:
        lost: Overwritten in the device's ring before the gateway could pull them.
        dropped: Removed from the outbox because it was full or they were too old.
        filtered: Left out on purpose, by the gateway's configuration.
    """

    device_id: bytes
    boot_id: int
    lost: int
    dropped: int
    filtered: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One delivery of one outbox to one sink.

    Attributes:
        envelopes: Records and derived records, in the order in which they were committed within a device and a priority.
        reports: May be repeated; a sink without a place for them ignores them.
    """

    gateway_id: str
    outbox_id: bytes
    envelopes: tuple[Envelope | DerivedEnvelope, ...]
    reports: tuple[LossReport, ...] = ()

    @property
    def records(self) -> list[Envelope]:
        """The devices' own records."""
        return [e for e in self.envelopes if isinstance(e, Envelope)]

    @property
    def derived(self) -> list[DerivedEnvelope]:
        """What the gateway made of them."""
        return [e for e in self.envelopes if isinstance(e, DerivedEnvelope)]


@dataclass(frozen=True, slots=True)
class OutputMeaning:
    """How a model's output bytes become named scores.

    Attributes:
        name: The model's name.
        labels: Class names in the order of the output's elements; may be empty.
        dtype: Element type of the output.
        scale: real = scale * (q - zero_point); 1 and 0 for float outputs.
        zero_point: As above.
    """

    name: str
    labels: tuple[str, ...] = ()
    dtype: DType = DType.INT8
    scale: float = 1.0
    zero_point: int = 0

    def label(self, top: int) -> str | None:
        """Name of the class ``top``; its number when it has no name, None when the record names no class."""
        if top == TOP_NONE:
            return None
        return self.labels[top] if top < len(self.labels) else f"class {top}"

    def scores(self, record: Record) -> list[float]:
        """The output as real numbers; empty when the bytes do not fit the element type or hold no finite number."""
        kind = np.dtype(_NUMPY[self.dtype])
        if len(record.output) % kind.itemsize:
            return []
        values = (np.frombuffer(record.output, kind).astype(np.float64) - self.zero_point) * self.scale
        return [round(float(v), 6) for v in values] if bool(np.isfinite(values).all()) else []


def format_utc(time_utc_us: int) -> str:
    """RFC 3339 with microseconds: ``2026-01-31T12:00:00.000001Z``.

    Raises:
        ProtocolError: outside the years 1 to 9999.
    """
    try:
        return (_EPOCH + timedelta(microseconds=time_utc_us)).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    except OverflowError as error:
        raise ProtocolError(f"time {time_utc_us} us after 1970 is no date") from error


def parse_utc(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time with a zone.

    Raises:
        ProtocolError: not such a time.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ProtocolError(f"time {text!r} has no zone")
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        raise ProtocolError(f"{text!r} is no RFC 3339 time") from error


_NUMPY = {
    DType.FLOAT32: "<f4",
    DType.INT32: "<i4",
    DType.UINT8: "u1",
    DType.INT64: "<i8",
    DType.BOOL: "u1",
    DType.INT16: "<i2",
    DType.INT8: "i1",
}
