"""The host's half of a session (SMP group 65): the initiator of Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b, and its records.

The bytes are drawn in ``docs/spec/security.md``. X25519 and ChaCha20-Poly1305 come from ``cryptography``, BLAKE2b from ``hashlib``.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tinyfleet_codegen.errors import AccessError, UsageError
from tinyfleet_codegen.wire.session import HELLO_BYTES, MAC_BYTES, PROLOGUE, PROTOCOL, PSK_BYTES

_HASH_BYTES = 64
_PUBLIC_BYTES = 32
_MAX_COUNTER = 2**32 - 2


class Handshake:
    """Opens one session: send :attr:`request`, give what the device answers to :meth:`finish`.

    Args:
        psk: The device's pre-shared key, 32 bytes.
        device_id: The device that is meant, 16 bytes; another one refuses.

    Attributes:
        request: 48 bytes: a fresh public key and the proof that this host holds the key.
    """

    def __init__(self, psk: bytes, device_id: bytes) -> None:
        if len(psk) != PSK_BYTES:
            raise UsageError(f"a device's key is {PSK_BYTES} bytes, got {len(psk)}")
        self._chain = self._hash = PROTOCOL.ljust(_HASH_BYTES, b"\0")
        self._key = b""
        self._mix_hash(PROLOGUE + device_id)
        self._mix_key(psk, into_hash=True)
        self._private = X25519PrivateKey.generate()
        public = self._private.public_key().public_bytes_raw()
        self._mix_public(public)
        self.request = public + self._seal_nothing()

    def finish(self, answer: bytes) -> Session:
        """Check the device's answer.

        Raises:
            AccessError: the device does not hold the key, or somebody changed a message.
        """
        if len(answer) != HELLO_BYTES:
            raise AccessError(f"the device opened a session with {len(answer)} bytes, expected {HELLO_BYTES}")
        public, mac = answer[:_PUBLIC_BYTES], answer[_PUBLIC_BYTES:]
        self._mix_public(public)
        try:
            self._mix_key(self._private.exchange(X25519PublicKey.from_public_bytes(public)))
            ChaCha20Poly1305(self._key).decrypt(_nonce(0), mac, self._hash)
        except (ValueError, InvalidTag) as error:
            raise AccessError("the device does not hold the key that this host has for it", hint="tinyfleet device provision") from error
        send, receive = _hkdf(self._chain, b"", 2)
        return Session(send[:32], receive[:32])

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.blake2b(self._hash + data).digest()

    def _mix_key(self, secret: bytes, *, into_hash: bool = False) -> None:
        self._chain, *mixed, key = _hkdf(self._chain, secret, 3 if into_hash else 2)
        self._key = key[:32]
        for block in mixed:
            self._mix_hash(block)

    def _mix_public(self, public: bytes) -> None:
        self._mix_hash(public)
        self._mix_key(public)

    def _seal_nothing(self) -> bytes:
        mac = ChaCha20Poly1305(self._key).encrypt(_nonce(0), b"", self._hash)
        self._mix_hash(mac)
        return mac


class Session:
    """Seals requests and opens replies; each record has a counter that only rises."""

    def __init__(self, send_key: bytes, receive_key: bytes) -> None:
        self._send = ChaCha20Poly1305(send_key)
        self._receive = ChaCha20Poly1305(receive_key)
        self._next_send = 0
        self._next_receive = 0

    def seal(self, message: bytes) -> tuple[int, bytes]:
        """A message as a record: its counter, and the sealed bytes with their MAC.

        Raises:
            AccessError: the session has sent as many records as it may; open a new one.
        """
        counter = self._next_send
        if counter > _MAX_COUNTER:
            raise AccessError(f"this session has sent {counter} records", hint="open a new one")
        self._next_send += 1
        return counter, self._send.encrypt(_nonce(counter), message, None)

    def open(self, counter: int, record: bytes) -> bytes:
        """The message in a record.

        Raises:
            AccessError: it was changed, repeated or is of another session.
        """
        if counter < self._next_receive or counter > _MAX_COUNTER or len(record) < MAC_BYTES:
            raise AccessError(f"the device sent record {counter} of {len(record)} bytes, expected is number {self._next_receive} or later")
        try:
            message = self._receive.decrypt(_nonce(counter), record, None)
        except InvalidTag as error:
            raise AccessError(f"record {counter} of the device was changed on its way, or is of another session") from error
        self._next_receive = counter + 1
        return message


def _nonce(counter: int) -> bytes:
    return bytes(4) + counter.to_bytes(8, "little")


def _hkdf(chain: bytes, secret: bytes, count: int) -> list[bytes]:
    extracted = hmac.digest(chain, secret, "blake2b")
    blocks: list[bytes] = []
    for number in range(1, count + 1):
        blocks.append(hmac.digest(extracted, (blocks[-1] if blocks else b"") + bytes([number]), "blake2b"))
    return blocks
