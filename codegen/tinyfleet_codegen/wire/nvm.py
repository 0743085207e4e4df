"""Identity and boot state in a board's non-volatile memory, v1.

``emulate`` (later: provisioning) writes the identity once; the firmware writes the boot state, two slots in turn,
so that a torn write leaves the other slot valid. Little-endian; drawn in ``docs/spec/wire.md``.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

IDENTITY_MAGIC = 0x4E465954  # "TYFN"
BOOT_MAGIC = 0x42465954  # "TYFB"
NVM_VERSION = 1
IDENTITY_OFFSET = 0
BOOT_SLOT_OFFSETS = (4096, 8192)
DEVICE_ID_BYTES = 16
ENTROPY_BYTES = 32

_IDENTITY = struct.Struct("<IHH16s32sI")
_BOOT = struct.Struct("<II32s")
IDENTITY_BYTES = _IDENTITY.size + 4
BOOT_BYTES = _BOOT.size + 4


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a board this board: its 16-byte id and its first entropy."""

    device_id: bytes
    entropy: bytes

    def encode(self) -> bytes:
        """The identity area with its CRC-32."""
        body = _IDENTITY.pack(IDENTITY_MAGIC, NVM_VERSION, 0, self.device_id, self.entropy, 0)
        return body + struct.pack("<I", zlib.crc32(body))


def read_identity(nvm: bytes) -> Identity | None:
    """The identity in an NVM image, or None when there is none that is intact."""
    area = nvm[IDENTITY_OFFSET : IDENTITY_OFFSET + IDENTITY_BYTES]
    if len(area) < IDENTITY_BYTES or zlib.crc32(area[:-4]) != int.from_bytes(area[-4:], "little"):
        return None
    magic, version, _, device_id, entropy, _ = _IDENTITY.unpack(area[:-4])
    return Identity(device_id, entropy) if (magic, version) == (IDENTITY_MAGIC, NVM_VERSION) else None


def read_boot_id(nvm: bytes) -> int:
    """The last boot_id that the firmware made durable; 0 when it never booted."""
    newest = 0
    for offset in BOOT_SLOT_OFFSETS:
        slot = nvm[offset : offset + BOOT_BYTES]
        if len(slot) == BOOT_BYTES and zlib.crc32(slot[:-4]) == int.from_bytes(slot[-4:], "little"):
            magic, boot_id, _ = _BOOT.unpack(slot[:-4])
            if magic == BOOT_MAGIC:
                newest = max(newest, boot_id)
    return newest
