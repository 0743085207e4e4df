"""Crash record v1: what a board knew when it gave up, as it survives the reset and lies in flash.

Little-endian; drawn in ``docs/spec/crash.md``.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

CRASH_MAGIC = 0x43465954  # "TYFC"
CRASH_VERSION = 1
STACK_WORDS = 16
"""Words of the stack that a record keeps, from the stack pointer up."""
CONTEXT_THREAD = 0
"""``context`` of a crash of management."""
CONTEXT_LIVE = 14
"""``context`` of a crash of live inference: the number of the exception that it runs in."""
CONTEXT_UNKNOWN = 0xFFFF
"""``context`` when the stack was lost too."""

FIELDS: tuple[tuple[str, str], ...] = (
    ("magic", "I"),
    ("version", "H"),
    ("record_bytes", "H"),
    ("why", "I"),
    ("exception", "I"),
    ("context", "I"),
    ("cfsr", "I"),
    ("pc", "I"),
    ("lr", "I"),
    ("sp", "I"),
    ("address", "I"),
    ("resets", "I"),
    ("model_generation", "I"),
    ("uptime_us", "Q"),
    ("model_id", "32s"),
    ("firmware_hash", "8s"),
    ("stack", f"{4 * STACK_WORDS}s"),
    ("crc", "I"),
)
"""Name and struct code of each field, in order and without padding; ``crc`` is the CRC-32 of all before it."""

_RECORD = struct.Struct("<" + "".join(code for _, code in FIELDS))
CRASH_BYTES = _RECORD.size


class CrashWhy(IntEnum):
    """What ended the program."""

    FAULT = 1  # the core refused an instruction or an access
    ASSERT = 2  # a check of our own assumptions failed
    STACK = 3  # a stack ran over
    HANG = 4  # a live inference took longer than its limit
    WATCHDOG = 5  # nobody fed the watchdog


@dataclass(frozen=True, slots=True)
class CrashRecord:
    """One crash.

    Attributes:
        why: What ended the program; a number that this host does not know stays a number.
        exception: Number of the exception that reported it: 2 NMI, 3 HardFault, 4 MemManage, 5 BusFault, 6 UsageFault, 15 SysTick.
        context: Number of the exception in which it happened: CONTEXT_THREAD, CONTEXT_LIVE, an interrupt's, CONTEXT_UNKNOWN.
        cfsr: Configurable fault status of the core; 0 on ARMv6-M.
        pc: Instruction that failed; 0 when the stack was lost.
        lr: Return address at that point.
        sp: Stack pointer at that point.
        address: Of the access that failed, where the core knows it; else 0.
        resets: Resets between power-on and the crash.
        model_generation: Of the live model, see the telemetry record.
        uptime_us: Microseconds from boot to the crash.
        model_id: Of the live model, 32 bytes; zeros when none was set.
        firmware_hash: First 8 bytes of the SHA-256 of the program, see docs/spec/crash.md; zeros when it could not be made.
        stack: Words from ``sp`` up.
    """

    why: int
    exception: int
    context: int
    cfsr: int
    pc: int
    lr: int
    sp: int
    address: int
    resets: int
    model_generation: int
    uptime_us: int
    model_id: bytes
    firmware_hash: bytes
    stack: tuple[int, ...]

    def encode(self) -> bytes:
        """Bytes of this record as the device writes them."""
        values = [getattr(self, name) for name, _ in FIELDS[3:-2]]
        packed = _RECORD.pack(CRASH_MAGIC, CRASH_VERSION, CRASH_BYTES, *values, struct.pack(f"<{STACK_WORDS}I", *self.stack), 0)
        return packed[:-4] + struct.pack("<I", zlib.crc32(packed[:-4]))


def decode_crash(data: bytes) -> CrashRecord | None:
    """The record that ``data`` begins with; None when there is none that is intact and of this version."""
    if len(data) < CRASH_BYTES:
        return None
    values = dict(zip((name for name, _ in FIELDS), _RECORD.unpack_from(data), strict=True))
    magic, version, size = (values.pop(name) for name in ("magic", "version", "record_bytes"))
    if (magic, version, size) != (CRASH_MAGIC, CRASH_VERSION, CRASH_BYTES) or values.pop("crc") != zlib.crc32(data[: CRASH_BYTES - 4]):
        return None
    values["stack"] = struct.unpack(f"<{STACK_WORDS}I", values["stack"])
    return CrashRecord(**values)
