"""What the cloud accepts from outside, checked once, here."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tinyfleet.telemetry import TELEMETRY_VERSION, Envelope, LossReport, OutputMeaning, checked_envelope
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.record import HEADER_BYTES, MAX_OUTPUT_BYTES

MAX_BATCH_RECORDS = 5000
_RECORD_TEXT_LIMIT = 4 * ((HEADER_BYTES + MAX_OUTPUT_BYTES + 2) // 3)

Version = Annotated[int, Field(ge=1, le=TELEMETRY_VERSION)]
Uint32 = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
DeviceIdHex = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
GatewayId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class _Message(BaseModel):
    # Unknown keys are ignored: a newer gateway of the same version may say more.
    model_config = ConfigDict(strict=True, frozen=True)


class RecordMessage(_Message):
    """One record of a batch."""

    entry: Count
    device_id: DeviceIdHex
    boot_id: Uint32
    seq: Uint32
    time_utc: Annotated[str, Field(max_length=40)] | None = None
    time_error_us: Count | None = None
    model_id: Sha256Hex | None = None
    record: Annotated[str, Field(max_length=_RECORD_TEXT_LIMIT)]

    def envelope(self, gateway_id: str, outbox_id: bytes) -> Envelope:
        """The record with its bytes, checked against what the envelope says.

        Raises:
            ProtocolError: the bytes or the time are malformed, or belong to another identity.
        """
        return checked_envelope(
            self.record,
            device_id=self.device_id,
            boot_id=self.boot_id,
            seq=self.seq,
            time_utc=self.time_utc,
            time_error_us=self.time_error_us,
            model_id=self.model_id,
            gateway_id=gateway_id,
            outbox_id=outbox_id,
            entry=self.entry,
        )


class ReportMessage(_Message):
    """One loss report of a batch."""

    device_id: DeviceIdHex
    boot_id: Uint32
    lost: Count
    dropped: Count

    def report(self) -> LossReport:
        """The report as the store takes it."""
        return LossReport(bytes.fromhex(self.device_id), self.boot_id, self.lost, self.dropped)


class BatchMessage(_Message):
    """The body of ``POST /v1/records``."""

    version: Version
    gateway_id: GatewayId
    outbox_id: DeviceIdHex
    records: Annotated[list[RecordMessage], Field(max_length=MAX_BATCH_RECORDS)]
    reports: Annotated[list[ReportMessage], Field(max_length=MAX_BATCH_RECORDS)] = []


class ModelMessage(_Message):
    """The body of ``POST /v1/models``."""

    version: Version
    model_id: Sha256Hex
    name: Text
    labels: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=1024)] = []
    output_dtype: str = "int8"
    output_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    output_zero_point: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0

    @field_validator("output_dtype")
    @classmethod
    def _known_dtype(cls, name: str) -> str:
        if name.upper() not in DType.__members__ or name != name.lower():
            raise ValueError(f"allowed: {', '.join(d.name.lower() for d in DType)}")
        return name

    def meaning(self) -> OutputMeaning:
        """The model as the store takes it."""
        return OutputMeaning(self.name, tuple(self.labels), DType[self.output_dtype.upper()], self.output_scale, self.output_zero_point)
