"""What a device says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True)
class Hello:
    """Identity of a device and the versions of group 64 that it speaks."""

    proto_min: int
    proto_max: int
    device_id: bytes
    boot_id: int
    board: str
    app: str
    uptime_us: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that a device runs; ``channels`` and the two after it are 0 for a model that is fed with tensors."""

    model_id: bytes
    generation: int
    name: str
    arena_bytes: int
    input_bytes: int
    output_bytes: int
    input_dtype: DType
    output_dtype: DType
    layers: int
    channels: int
    window_samples: int
    hop_samples: int


@dataclass(frozen=True, slots=True)
class Results:
    """A pull of telemetry.

    Attributes:
        boot_id: Boot that the records belong to; another one than before means that the device restarted.
        device_id: 16 bytes.
        next: The ``since`` of the next pull.
        lost: Records between ``since`` and the oldest that the device still held.
        records: Encoded records, see :func:`tinyfleet_codegen.wire.record.decode_record`.
    """

    boot_id: int
    device_id: bytes
    next: int
    lost: int
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the device's own sensor fares.

    Attributes:
        running: Whether more answers are to come.
        answers: Given so far.
        late: Left out because the one before took too long.
        max_gap_us: Longest time between the ends of two answers, in microseconds of the device.
    """

    running: bool
    answers: int
    late: int
    max_gap_us: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since boot; instruction counts are 0 on boards that cannot count them."""

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


@dataclass(frozen=True, slots=True)
class Task:
    """One of the contexts that a device's program runs in.

    Attributes:
        priority: The lower, the more urgent.
        stack_bytes: Of its stack; ``live`` shares it with interrupts.
        stack_used: Most bytes of it that were ever in use since boot.
        runs: How often it ran to its end; 0 for the main loop, which does not end.
        runtime_ms: Since boot.
    """

    name: str
    priority: int
    stack_bytes: int
    stack_used: int
    runs: int
    runtime_ms: int


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """Whether a device has a key, asks for a session on every link, and answered in one."""

    provisioned: bool
    locked: bool
    session: bool


@dataclass(frozen=True, slots=True)
class SlotImage:
    """A firmware image in one of the two update slots.

    Attributes:
        slot: 0 or 1.
        version: As it was signed.
        hash: SHA-256 by which commands name it.
        is_pending: It will be started once, at the next reset.
        is_confirmed: It is there to stay.
        is_active: It runs.
    """

    slot: int
    version: str
    hash: bytes
    is_pending: bool
    is_confirmed: bool
    is_active: bool
