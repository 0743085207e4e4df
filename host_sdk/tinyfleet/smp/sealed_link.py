"""A link whose messages travel as records of a session."""

from __future__ import annotations

import struct
from typing import Any

import cbor2
from smp.header import OP, Header

from tinyfleet.link import Link
from tinyfleet.smp.session import Handshake, Session
from tinyfleet_codegen.errors import AccessError, ProtocolError
from tinyfleet_codegen.wire.ids import SmpGroup, Status
from tinyfleet_codegen.wire.session import SessionCommand

RECORD_OVERHEAD_BYTES = 40
"""What a record adds to the message in it: a header, two keys, a counter, a length and a MAC, at most."""
_HEADER = struct.Struct(">BBHHBB")
_WRITE_V2 = 1 << 3 | OP.WRITE


class SealedLink(Link):
    """Seals what is sent and opens what comes back. Use :func:`open_session`; the link below stays the caller's to close."""

    def __init__(self, link: Link, session: Session) -> None:
        super().__init__(link.url)
        self._link = link
        self._session = session
        self._sequence = 0

    async def send_and_receive(self, data: bytes) -> bytes:
        """See :class:`~tinyfleet.link.Link`.

        Raises:
            AccessError: the device does not know the session any more, or a record was changed.
        """
        counter, record = self._session.seal(data)
        self._sequence = (self._sequence + 1) % 256
        reply = await _ask(self._link, SessionCommand.RECORD, {"n": counter, "d": record}, self._sequence)
        number, sealed = reply.get("n"), reply.get("d")
        if not isinstance(number, int) or not isinstance(sealed, bytes):
            raise ProtocolError(f"{self.url} answered a record with {sorted(reply)}")
        answer = self._session.open(number, sealed)
        if len(answer) < Header.SIZE:
            raise ProtocolError(f"{self.url} sealed a message of {len(answer)} bytes")
        return answer

    @property
    def most_under_way(self) -> int:
        """Records are answered one by one."""
        return 1

    @property
    def max_unencoded_size(self) -> int:
        """Largest message in bytes that fits into a record."""
        return self._link.max_unencoded_size - RECORD_OVERHEAD_BYTES


async def open_session(link: Link, psk: bytes, device_id: bytes) -> SealedLink:
    """Open a session with a device over an open link.

    Args:
        link: The open link; stays the caller's to close.
        psk: The device's pre-shared key, 32 bytes.
        device_id: The device that is meant, 16 bytes.

    Raises:
        AccessError: the device has another key or none.
        LinkClosed: the device is gone.
    """
    handshake = Handshake(psk, device_id)
    reply = await _ask(link, SessionCommand.OPEN, {"m": handshake.request}, 0)
    answer = reply.get("m")
    if not isinstance(answer, bytes):
        raise ProtocolError(f"{link.url} answered a request for a session with {sorted(reply)}")
    return SealedLink(link, handshake.finish(answer))


async def _ask(link: Link, command: SessionCommand, body: dict[str, Any], sequence: int) -> dict[str, Any]:
    payload = cbor2.dumps(body)
    message = _HEADER.pack(_WRITE_V2, 0, len(payload), SmpGroup.SESSION, sequence, command) + payload
    data = await link.send_and_receive(message)
    try:
        reply = cbor2.loads(data[Header.SIZE :])
    except (cbor2.CBORError, ValueError) as error:
        raise ProtocolError(f"{link.url} sent a reply to {command.name} that makes no sense: {error}") from error
    if not isinstance(reply, dict):
        raise ProtocolError(f"{link.url} sent a reply to {command.name} that is no map")
    code = reply.get("err", {}).get("rc", 0) or reply.get("rc", 0)
    if code == -Status.ERR_STATE and command == SessionCommand.OPEN:
        raise AccessError(f"{link.url} has no key", hint="tinyfleet device provision, over a serial link")
    if code:
        raise AccessError(f"{link.url} refused {command.name}: {code}", hint="does this host hold the device's key? open a new session")
    return reply
