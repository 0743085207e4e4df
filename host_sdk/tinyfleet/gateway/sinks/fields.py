"""What a record says, field by field: for sinks with one typed variable per field (OPC UA, Sparkplug B)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyfleet.telemetry import Envelope
from tinyfleet_codegen.wire.record import Record


@dataclass(frozen=True, slots=True)
class RecordField:
    """One field.

    Attributes:
        opcua: Name of its type in OPC UA (part 6, table 1).
        sparkplug: Name of its type in Sparkplug B (its ``DataType``).
        value: Of a record and its envelope; None: not known.
    """

    opcua: str
    sparkplug: str
    value: Callable[[Envelope, Record], Any]


RECORD_FIELDS: dict[str, RecordField] = {
    "BootId": RecordField("UInt32", "UINT32", lambda e, _: e.identity.boot_id),
    "Seq": RecordField("UInt32", "UINT32", lambda e, _: e.identity.seq),
    "Stream": RecordField("UInt32", "UINT32", lambda _, r: r.stream),
    "SampleIndex": RecordField("UInt32", "UINT32", lambda _, r: r.sample_index),
    "LatencyUs": RecordField("UInt32", "UINT32", lambda _, r: r.latency_us),
    "UptimeUs": RecordField("UInt64", "UINT64", lambda _, r: r.uptime_us),
    "Top": RecordField("Byte", "UINT8", lambda _, r: r.top),
    "ModelId": RecordField("String", "STRING", lambda e, _: None if e.model_id is None else e.model_id.hex()),
}
