"""Every request that a :class:`~tinyfleet.device.Device` makes; the contract is ``docs/spec/wire.md``."""

from __future__ import annotations

from pydantic import Field
from smp import message, os_management
from smp.header import CommandId, GroupId

from tinyfleet.smp.message import AsksOs, AsksTinyfleet, ReadReply, WriteReply
from tinyfleet_codegen.wire.ids import Command, SmpGroup

_GROUP = int(SmpGroup.TINYFLEET)


class EchoReply(WriteReply):
    """The text sent back."""

    _GROUP_ID = GroupId.OS_MANAGEMENT
    _COMMAND_ID = CommandId.OSManagement.ECHO
    r: str


class Echo(os_management.EchoWriteRequest, AsksOs[EchoReply]):
    """Send text back."""

    _Response = EchoReply


class ParamsReply(ReadReply):
    """Size and number of the device's message buffers."""

    _GROUP_ID = GroupId.OS_MANAGEMENT
    _COMMAND_ID = CommandId.OSManagement.MCUMGR_PARAMETERS
    buf_size: int = Field(ge=64, le=65536)
    buf_count: int


class Params(os_management.MCUMgrParametersReadRequest, AsksOs[ParamsReply]):
    """How large a frame may be."""

    _Response = ParamsReply


class ResetReply(WriteReply):
    """Sent before the device resets."""

    _GROUP_ID = GroupId.OS_MANAGEMENT
    _COMMAND_ID = CommandId.OSManagement.RESET


class Reset(os_management.ResetWriteRequest, AsksOs[ResetReply]):
    """Start over."""

    _Response = ResetReply


class HelloReply(ReadReply):
    """Who the device is and what it speaks."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.HELLO)
    proto_min: int
    proto_max: int
    device_id: bytes
    boot_id: int
    board: str
    app: str
    uptime_us: int


class HelloRead(message.ReadRequest, AsksTinyfleet[HelloReply]):
    """Who are you."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.HELLO)
    _Response = HelloReply


class ModelInfoReply(ReadReply):
    """The model that the device runs."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.MODEL_INFO)
    model_id: bytes
    generation: int
    name: str
    arena_bytes: int
    input_bytes: int
    output_bytes: int
    input_dtype: int
    output_dtype: int
    layers: int
    channels: int
    window_samples: int
    hop_samples: int


class ModelInfoRead(message.ReadRequest, AsksTinyfleet[ModelInfoReply]):
    """Which model runs."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.MODEL_INFO)
    _Response = ModelInfoReply


class InferReply(WriteReply):
    """Input bytes that the device holds; ``out_bytes`` once the model ran."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.INFER)
    off: int
    out_bytes: int | None = None


class InferWrite(message.WriteRequest, AsksTinyfleet[InferReply]):
    """One chunk of an input tensor."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.INFER)
    _Response = InferReply
    off: int
    data: bytes
    reset: bool


class OutputReply(ReadReply):
    """A piece of the last output; ``len`` is the size of the whole."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.INFER)
    off: int
    data: bytes
    len: int


class OutputRead(message.ReadRequest, AsksTinyfleet[OutputReply]):
    """The last output from byte ``off``."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.INFER)
    _Response = OutputReply
    off: int


class HashesReply(WriteReply):
    """One hash per case, or per layer from layer ``from``."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.SELF_INFER)
    hashes: bytes
    first_layer: int = Field(default=0, validation_alias="from")
    instructions: bytes = b""


class SelfInfer(message.WriteRequest, AsksTinyfleet[HashesReply]):
    """Run ``count`` inputs that the device makes from a seed."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.SELF_INFER)
    _Response = HashesReply
    seed: int
    first: int
    count: int
    keep: bool


class SelfInferLayers(message.WriteRequest, AsksTinyfleet[HashesReply]):
    """Run one such input and hash what each layer wrote."""

    model_config = HashesReply.model_config
    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.SELF_INFER)
    _Response = HashesReply
    seed: int
    first: int
    layers: bool
    first_layer: int = Field(serialization_alias="from")


class ResultsReply(ReadReply):
    """Telemetry records with seq >= since, oldest first."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.RESULTS)
    boot_id: int
    device_id: bytes
    next: int
    lost: int
    records: bytes


class ResultsRead(message.ReadRequest, AsksTinyfleet[ResultsReply]):
    """Records from seq ``since``, at most ``max``."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.RESULTS)
    _Response = ResultsReply
    since: int
    max: int


class ReplayReply(WriteReply):
    """Samples of the stream that the device took so far, and its next seq."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.REPLAY)
    stream: int
    off: int
    seq: int


class ReplayWrite(message.WriteRequest, AsksTinyfleet[ReplayReply]):
    """A chunk of recorded samples."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.REPLAY)
    _Response = ReplayReply
    stream: int
    off: int
    data: bytes


class StatsReply(ReadReply):
    """Counters since boot."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.STATS)
    inferences: int
    records: int
    ring_overwrites: int
    last_instructions: int
    max_instructions: int
    stack_bytes: int
    stack_used: int
    bad_frames: int
    fault_pc: int
    fault_lr: int
    fault_cfsr: int
    resets: int


class StatsRead(message.ReadRequest, AsksTinyfleet[StatsReply]):
    """Counters."""

    _GROUP_ID = _GROUP
    _COMMAND_ID = int(Command.STATS)
    _Response = StatsReply
