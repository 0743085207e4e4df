"""What a board is in the air: its services and its name; every byte is in ``docs/spec/ble.md``."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from uuid import UUID

MANAGEMENT_SERVICE_UUID = UUID("8d53dc1d-1db7-4cd3-868b-8a527460aa84")
"""SMP over Bluetooth, as every MCUmgr client knows it."""
MANAGEMENT_UUID = UUID("da2e7828-fbce-4e01-ae9e-261174997c48")
"""Its characteristic: write without response, notify; pieces of raw SMP messages."""
TELEMETRY_SERVICE_UUID = UUID("f8d30001-3c1e-4b8a-9a56-7d2e61c4b0a9")
TELEMETRY_UUID = UUID("f8d30002-3c1e-4b8a-9a56-7d2e61c4b0a9")
"""Its characteristic: notify; see :class:`Bell`."""

NAME_PREFIX = "tf-"
NAME_DIGITS = 5
"""Hexadecimal digits of the device id that follow in the name."""

UNTRUSTED_S = 10
"""A link without a session for so long is ended by the board."""
UNTRUSTED_AGAIN_S = 4
"""The same, when the link before it was without one for so long: who comes again and again leaves others more turns."""
MESSAGE_GAP_S = 2
"""A pause for so long within a message ends it: what follows begins another one."""


class Bell(IntEnum):
    """The one byte of a notification of the telemetry service."""

    RECORDS_WAIT = 1  # there are records that were not there at the last bell


def name_of(device_id: bytes) -> str:
    """The name that a board has in its advertisement."""
    return NAME_PREFIX + device_id.hex()[:NAME_DIGITS]


def address_of(device_id: bytes) -> str:
    """The random static address that a board has, as people read it: a hint, not an identity, and some systems do not show it."""
    octets = bytearray(hashlib.sha256(device_id).digest()[:6])
    octets[5] |= 0xC0
    return ":".join(f"{octet:02X}" for octet in reversed(octets))
