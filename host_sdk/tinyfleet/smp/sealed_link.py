"""A link whose messages travel as records of a session."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import cbor2
from smp.header import OP, Header

from tinyfleet.link import Link
from tinyfleet.smp.session import Handshake, Session
from tinyfleet_codegen.errors import AccessError, LinkTimeout, ProtocolError, RecordLost, SessionLost
from tinyfleet_codegen.wire.ids import SmpGroup, Status
from tinyfleet_codegen.wire.session import SessionCommand

log = logging.getLogger(__name__)

RECORD_OVERHEAD_BYTES = 40
"""What a record adds to the message in it: a header, two keys, a counter, a length and a MAC, at most."""
_ATTEMPTS = 2
"""Handshakes that share a deadline."""
_HEADER = struct.Struct(">BBHHBB")
_WRITE_V2 = 1 << 3 | OP.WRITE


class SealedLink(Link):
    """Seals what is sent and opens what comes back. Use :func:`open_session`; the link below stays the caller's to close.

    Several records may be under way: they are counted in the order in which they are sent, and answered in that order.
    """

    def __init__(self, link: Link, session: Session, device_id: bytes, keys: Callable[[], Sequence[bytes]]) -> None:
        super().__init__(link.url)
        self._link = link
        self._session = session
        self._device_id = device_id
        self._keys = keys
        self._sequence = 0
        self._under_way: deque[tuple[bytes, bytes]] = deque()  # what was asked, and the record that it became

    async def send(self, data: bytes) -> None:
        """See :class:`~tinyfleet.link.Link`."""
        await self._link.send(self._seal(data))

    async def send_and_receive(self, data: bytes) -> bytes:
        """See :class:`~tinyfleet.link.Link`.

        Raises:
            SessionLost: the device does not know the session any more.
            AccessError: a record was changed.
        """
        self._under_way.clear()  # what is left there was given up
        record = self._seal(data)
        reply = await self._link.send_and_receive(record)
        self._under_way.clear()
        return self._open(reply)

    async def receive_answer(self, data: bytes) -> bytes:
        """See :class:`~tinyfleet.link.Link`; raises what :meth:`send_and_receive` does."""
        while True:
            asked, record = self._under_way.popleft()
            if asked == data:
                return self._open(await self._link.receive_answer(record))

    def give_up(self) -> None:
        """As of the link below."""
        self._link.give_up()

    async def renew(self, timeout_s: float) -> None:
        """See :class:`~tinyfleet.link.Link`: with the keys that this host has now, of which one may be new."""
        await self._link.renew(timeout_s)
        self._session = await _handshake(self._link, self._keys(), self._device_id, timeout_s)
        self._under_way.clear()

    @property
    def most_under_way(self) -> int:
        """As of the link below."""
        return self._link.most_under_way

    @property
    def max_unencoded_size(self) -> int:
        """Largest message in bytes that fits into a record."""
        return self._link.max_unencoded_size - RECORD_OVERHEAD_BYTES

    def _seal(self, data: bytes) -> bytes:
        counter, sealed = self._session.seal(data)
        self._sequence = (self._sequence + 1) % 256
        record = _message(SessionCommand.RECORD, {"n": counter, "d": sealed}, self._sequence)
        self._under_way.append((data, record))
        return record

    def _open(self, reply: bytes) -> bytes:
        try:
            body = _body(self.url, SessionCommand.RECORD, reply)
            number, sealed = body.get("n"), body.get("d")
            if not isinstance(number, int) or not isinstance(sealed, bytes):
                raise ProtocolError(f"{self.url} answered a record with {sorted(body)}")
            answer = self._session.open(number, sealed)
        except SessionLost:
            raise
        except (AccessError, ProtocolError) as error:
            # No good record is nothing that the device said: a piece was lost or came twice, or somebody is in between.
            raise RecordLost(str(error), hint=error.hint) from error
        if len(answer) < Header.SIZE:
            raise ProtocolError(f"{self.url} sealed a message of {len(answer)} bytes")
        return answer


async def open_session(link: Link, device_id: bytes, keys: Callable[[], Sequence[bytes]], *, timeout_s: float = 5.0) -> SealedLink:
    """Open a session with a device over an open link.

    Args:
        link: The open link; stays the caller's to close.
        device_id: The device that is meant, 16 bytes.
        keys: Its pre-shared keys that this host has, 32 bytes each, likeliest first; at least one. Asked again for each new session.
        timeout_s: Deadline for each of the keys.

    Raises:
        AccessError: the device has another key or none.
        LinkClosed: the device is gone.
        LinkTimeout: it does not answer.
    """
    return SealedLink(link, await _handshake(link, keys(), device_id, timeout_s), device_id, keys)


async def _handshake(link: Link, keys: Sequence[bytes], device_id: bytes, timeout_s: float) -> Session:
    """A session with the first of the keys that the device takes."""
    refused: AccessError | None = None
    for key in keys:
        handshake, reply = await _begin(link, key, device_id, timeout_s)
        try:
            answer = _body(link.url, SessionCommand.OPEN, reply).get("m")
            if not isinstance(answer, bytes):
                raise ProtocolError(f"{link.url} answered a request for a session without a message")
            return handshake.finish(answer)
        except AccessError as error:
            refused = error
    raise refused or AccessError(
        f"this host has no key for {link.url}, device {device_id.hex()}",
        hint="give the device one over a wire: tinyfleet device provision serial:///dev/ttyACM0",
    )


async def _begin(link: Link, key: bytes, device_id: bytes, timeout_s: float) -> tuple[Handshake, bytes]:
    """A handshake and the device's answer; without one another handshake, whose answer is told from a late one by its number."""
    for attempt in range(_ATTEMPTS):
        handshake = Handshake(key, device_id)
        try:
            async with asyncio.timeout(timeout_s / _ATTEMPTS):
                return handshake, await link.send_and_receive(_message(SessionCommand.OPEN, {"m": handshake.request}, attempt))
        except (TimeoutError, LinkTimeout):
            link.give_up()
            log.debug("no session url=%s attempt=%d", link.url, attempt)
    raise LinkTimeout(f"{link.url} opened no session within {timeout_s:g} s")


def _message(command: SessionCommand, body: dict[str, Any], sequence: int) -> bytes:
    payload = cbor2.dumps(body)
    return _HEADER.pack(_WRITE_V2, 0, len(payload), SmpGroup.SESSION, sequence, command) + payload


def _body(url: str, command: SessionCommand, message: bytes) -> dict[str, Any]:
    """What a reply says, or the error that it is."""
    try:
        reply = cbor2.loads(message[Header.SIZE :])
    except (cbor2.CBORError, ValueError) as error:
        raise ProtocolError(f"{url} sent a reply to {command.name} that makes no sense: {error}") from error
    if not isinstance(reply, dict):
        raise ProtocolError(f"{url} sent a reply to {command.name} that is no map")
    code = reply.get("err", {}).get("rc", 0) or reply.get("rc", 0)
    if command is SessionCommand.RECORD and code == -Status.ERR_STATE:
        raise SessionLost(f"{url} does not know this session any more", hint="open the device again")
    if code == -Status.ERR_STATE:
        raise AccessError(f"{url} has no key", hint="tinyfleet device provision, over a serial link")
    if code:
        raise AccessError(f"{url} refused {command.name}: {code}", hint="does this host hold the device's key?")
    return reply
