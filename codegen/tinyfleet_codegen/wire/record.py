"""Telemetry record v1: one inference, as it lies in the device's ring and travels to the cloud.

Little-endian. A record is identified by (device_id, boot_id, seq); device_id stands once in each reply, the
rest in the record. The layout is drawn in ``docs/spec/wire.md``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tinyfleet_codegen.errors import ProtocolError

RECORD_VERSION = 1
KIND_INFERENCE = 1
TOP_NONE = 255
"""Value of ``top`` when the output has no single best element (or more than 255)."""

FIELDS: tuple[tuple[str, str], ...] = (
    ("version", "B"),
    ("kind", "B"),
    ("record_bytes", "H"),
    ("boot_id", "I"),
    ("seq", "I"),
    ("stream", "I"),
    ("sample_index", "I"),
    ("latency_us", "I"),
    ("uptime_us", "Q"),
    ("model_generation", "B"),
    ("top", "B"),
    ("flags", "B"),
    ("reserved", "B"),
)
"""Name and struct code of each header field, in order and without padding."""

_HEADER = struct.Struct("<" + "".join(code for _, code in FIELDS))
HEADER_BYTES = _HEADER.size
MAX_OUTPUT_BYTES = 1024
"""Largest output tensor that a record carries."""


@dataclass(frozen=True, slots=True)
class Record:
    """One telemetry record.

    Attributes:
        boot_id: Boot counter of the device, >= 1, durable.
        seq: Position within the boot, from 0, without gaps as produced.
        stream: Which recording or sensor the window came from; 0 is the board's own sensor.
        sample_index: Index of the window's first sample within the stream.
        latency_us: Guest or board time that the inference took, in microseconds.
        uptime_us: Microseconds since boot when the inference ended.
        model_generation: Stands for the model_id that the device reported in its model info.
        top: Index of the largest output element (lowest on ties), or TOP_NONE.
        output: The output tensor's bytes.
    """

    boot_id: int
    seq: int
    stream: int
    sample_index: int
    latency_us: int
    uptime_us: int
    model_generation: int
    top: int
    output: bytes
    kind: int = KIND_INFERENCE
    flags: int = 0

    def encode(self) -> bytes:
        """Bytes of this record as the device writes them."""
        return (
            _HEADER.pack(
                RECORD_VERSION,
                self.kind,
                HEADER_BYTES + len(self.output),
                self.boot_id,
                self.seq,
                self.stream,
                self.sample_index,
                self.latency_us,
                self.uptime_us,
                self.model_generation,
                self.top,
                self.flags,
                0,
            )
            + self.output
        )


def split_records(data: bytes) -> list[bytes]:
    """Cut a reply's byte string into whole records, without interpreting their payload.

    Raises:
        ProtocolError: a record is truncated, of an unknown version or of an impossible length.
    """
    records: list[bytes] = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < HEADER_BYTES:
            raise ProtocolError(f"record at byte {offset} is truncated: {len(data) - offset} of {HEADER_BYTES} header bytes")
        version, _kind, record_bytes = struct.unpack_from("<BBH", data, offset)
        if version != RECORD_VERSION:
            raise ProtocolError(
                f"record at byte {offset} has version {version}, this host reads {RECORD_VERSION}",
                hint="update tinyfleet on this host",
            )
        if not HEADER_BYTES <= record_bytes <= HEADER_BYTES + MAX_OUTPUT_BYTES or record_bytes > len(data) - offset:
            raise ProtocolError(f"record at byte {offset} claims {record_bytes} bytes, {len(data) - offset} are there")
        records.append(data[offset : offset + record_bytes])
        offset += record_bytes
    return records


def decode_record(data: bytes) -> Record:
    """Decode exactly one record.

    Raises:
        ProtocolError: as for :func:`split_records`, or more than one record.
    """
    # A gateway decodes thousands a second: the order of FIELDS stands here, as in Record.encode, instead of being looked up.
    if len(data) >= HEADER_BYTES:
        (
            version, kind, record_bytes, boot_id, seq, stream, sample_index, latency_us, uptime_us, generation, top, flags, _,
        ) = _HEADER.unpack_from(data)  # fmt: skip
        if version == RECORD_VERSION and record_bytes == len(data) <= HEADER_BYTES + MAX_OUTPUT_BYTES:
            output = bytes(data[HEADER_BYTES:])
            return Record(boot_id, seq, stream, sample_index, latency_us, uptime_us, generation, top, output, kind, flags)
    split_records(data)
    raise ProtocolError(f"expected one record in {len(data)} bytes")
