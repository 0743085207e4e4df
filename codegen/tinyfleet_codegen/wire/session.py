"""A session: a channel to a device that only who holds its pre-shared key can open; drawn in ``docs/spec/security.md``."""

from __future__ import annotations

from enum import IntEnum

PSK_BYTES = 32
MAC_BYTES = 16
HELLO_BYTES = 32 + MAC_BYTES
"""Each of the two messages that open a session: an X25519 public key and the MAC of an empty payload."""
PROTOCOL = b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b"
PROLOGUE = b"tinyfleet session 1"
"""Comes before the device id in what both sides must agree on."""


class SessionCommand(IntEnum):
    """Commands of SMP group 65."""

    OPEN = 0
    RECORD = 1
    CLOSE = 2
    STATUS = 3
    PROVISION = 4
