"""Asking a device: one request at a time, each with a deadline, each error of our own kind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import Any, TypeVar, cast

import cbor2
from pydantic import ValidationError
from smp.exceptions import SMPException
from smp.header import Header

from tinyfleet.link import Link
from tinyfleet.smp.message import Asks, GenericError, GroupError, ReplyT
from tinyfleet.smp.names import generic_name, status_name
from tinyfleet.smp.requests import ParamsRequest
from tinyfleet_codegen.errors import DeviceError, LinkLost, LinkTimeout, ProtocolError, RecordLost, SessionLost

T = TypeVar("T")
log = logging.getLogger(__name__)

REQUEST_OVERHEAD_BYTES = 64
"""Room for the header and the keys of a message whose rest is one byte string."""
ATTEMPTS = 2
"""How often a request is sent that may be repeated; they share the deadline."""
MOST_RENEWALS = 4
"""Connections that may be lost under one request, each made anew."""


class DeviceClient:
    """A typed request-and-reply client on an open link.

    Args:
        link: The link; stays the caller's to close.
        timeout_s: Deadline of each request, replies and repetitions included.
        beside: Another client on the same link, or below it, that takes turns with this one.
    """

    def __init__(self, link: Link, timeout_s: float, *, beside: DeviceClient | None = None) -> None:
        self._link = link
        self._timeout_s = timeout_s
        self._turn: asyncio.Lock = beside._turn if beside is not None else asyncio.Lock()

    @property
    def payload_bytes(self) -> int:
        """Bytes of data that fit into one request."""
        return self._link.max_unencoded_size - REQUEST_OVERHEAD_BYTES

    @property
    def most_under_way(self) -> int:
        """Requests that the link lets be under way at once; the device may take fewer."""
        return self._link.most_under_way

    @property
    def needs_session(self) -> bool:
        """Whether strangers hear what is asked, and can ask."""
        return self._link.needs_session

    async def negotiate(self) -> tuple[int, int]:
        """Ask for the device's buffers and use them from now on; returns (buf_size, buf_count)."""
        reply = await self.ask(ParamsRequest(), repeatable=True)
        self._link.initialize(reply.buf_size)
        return reply.buf_size, reply.buf_count

    async def ask(self, request: Asks[ReplyT], *, repeatable: bool) -> ReplyT:
        """Send a request and return its reply.

        Args:
            request: One of :mod:`tinyfleet.smp.requests`.
            repeatable: The device may get it twice without harm; then it is sent again after half of the deadline.

        Raises:
            LinkTimeout: no reply within the deadline.
            LinkClosed: the device is gone.
            DeviceError: the device refused.
            ProtocolError: the reply makes no sense.
            SessionLost, LinkLost: the device restarted, or its connection was lost, and it may or may not have done what must not be
                repeated; session and connection are new ones already.
        """
        attempts = ATTEMPTS if repeatable else 1
        name = _name(request)
        attempt, renewals = 1, 0
        async with self._turn:
            while True:
                try:
                    # A request that waits in the write (a stopped board) has the same deadline as one that waits for its reply.
                    async with asyncio.timeout(self._timeout_s / attempts):
                        return cast(ReplyT, self._checked(name, await self._exchange(request)))
                except (SessionLost, LinkLost) as error:
                    # No reply in a session says so: anybody on the link may, also after the device did what it was asked for.
                    self._link.give_up()
                    if renewals == (MOST_RENEWALS if isinstance(error, LinkLost | RecordLost) else 1):
                        raise
                    await self._renew()
                    renewals += 1
                    if not repeatable:
                        raise type(error)(
                            f"{self._link.url} restarted or was out of reach; it may have done {name} before, or not",
                            hint="it is there again: look, then ask again",
                        ) from error
                except (TimeoutError, LinkTimeout) as error:
                    self._link.give_up()
                    log.debug("no reply url=%s request=%s attempt=%d", self._link.url, name, attempt)
                    if attempt == attempts:
                        hint = "the board may be busy, stopped or serving another host"
                        raise LinkTimeout(f"{self._link.url} did not answer {name} within {self._timeout_s:g} s", hint=hint) from error
                    attempt += 1

    @property
    def message_bytes(self) -> int:
        """Largest message, header included."""
        return self._link.max_unencoded_size

    async def exchange(self, message: bytes) -> bytes:
        """Send one message as it is and return the reply to it; it is never sent twice.

        Raises:
            LinkTimeout: no reply within the deadline.
            LinkClosed: the device is gone.
            SessionLost, LinkLost: it may have been done or not; session and connection are new ones already.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._link.send_and_receive(message)
            except (SessionLost, LinkLost):
                self._link.give_up()
                await self._renew()
                raise
            except TimeoutError as error:
                self._link.give_up()
                raise LinkTimeout(f"{self._link.url} did not answer within {self._timeout_s:g} s") from error

    async def renew(self) -> None:
        """Open the session anew, without waiting for the device to refuse the one before.

        Raises:
            AccessError: the device does not take this host's key any more.
            LinkClosed, LinkTimeout, ProtocolError: as for :meth:`ask`.
        """
        async with self._turn:
            await self._renew()

    async def ask_in_turn(self, requests: Iterable[Asks[ReplyT]], window: int) -> AsyncGenerator[ReplyT, None]:
        """Send requests with up to ``window`` of them under way, and yield their replies in order; nobody else asks meanwhile.

        Whoever stops listening early leaves requests unanswered; the device may or may not have taken them.

        Args:
            requests: The device takes them in order, and each may get lost.
            window: At most ``buf_count`` of what :meth:`negotiate` returned, and :attr:`most_under_way`.

        Raises:
            LinkTimeout: no reply within the deadline, or half of it where another one could still be repeated.
            LinkLost: the connection was lost and is a new one; what was under way was done or not.
            SessionLost: the device restarted; the session is a new one already, and none of what was under way was done in it.
            LinkClosed, DeviceError, ProtocolError: as for :meth:`ask`.
        """
        under_way: deque[Asks[ReplyT]] = deque()
        waiting = iter(requests)
        async with self._turn:
            try:
                while True:
                    while len(under_way) < window and (following := next(waiting, None)) is not None:
                        under_way.append(following)
                        if window > 1:
                            await self._in_time(self._link.send(cast(Any, following).BYTES), following)
                    if not under_way:
                        return
                    request = under_way[0]
                    if window > 1:
                        frame = await self._in_time(self._link.receive_answer(cast(Any, request).BYTES), request)
                    else:
                        frame = await self._in_time(self._link.send_and_receive(cast(Any, request).BYTES), request)
                    under_way.popleft()
                    yield cast(ReplyT, self._checked(_name(request), self._parse(request, frame)))
            except (SessionLost, LinkLost):
                self._link.give_up()
                under_way.clear()
                await self._renew()
                raise
            finally:
                if under_way:
                    self._link.give_up()

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(2 * self._timeout_s):  # first perhaps a connection, then a session
                while True:
                    with contextlib.suppress(LinkLost):  # again
                        await self._link.renew(self._timeout_s)
                        break
        except TimeoutError as error:
            raise LinkTimeout(f"{self._link.url} opened no session within {self._timeout_s:g} s") from error
        log.info("link renewed url=%s", self._link.url)

    async def _in_time(self, work: Coroutine[Any, Any, T], request: Asks[Any]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s / ATTEMPTS):
                return await work
        except TimeoutError as error:
            raise LinkTimeout(f"{self._link.url} did not answer {_name(request)} within {self._timeout_s / ATTEMPTS:g} s") from error

    async def _exchange(self, request: Asks[Any]) -> Any:
        return self._parse(request, await self._link.send_and_receive(cast(Any, request).BYTES))

    def _parse(self, request: Asks[Any], frame: bytes) -> Any:
        """The reply, or an error. Errors first: a reply without fields would take any map, since keys that we do not know are ignored."""
        message = cast(Any, request)
        try:
            body = cbor2.loads(frame[Header.SIZE :])
            keys = set(body) if isinstance(body, dict) else set()
            kind = message._ErrorV2 if "err" in keys else message._ErrorV1 if "rc" in keys else message._Response
            return kind.loads(frame)
        except (SMPException, ValidationError, cbor2.CBORError, struct.error, ValueError, TypeError) as error:
            # The message may be pages long.
            first_line = next(filter(str.strip, str(error).splitlines()), type(error).__name__).strip()
            raise ProtocolError(f"{self._link.url} sent a reply to {_name(request)} that makes no sense: {first_line}") from error

    def _checked(self, name: str, reply: Any) -> Any:
        if isinstance(reply, GroupError):
            raise self._refused(name, status_name(reply.err.group, reply.err.rc))
        if isinstance(reply, GenericError):
            raise self._refused(name, generic_name(reply.rc))
        return reply

    def _refused(self, name: str, status: str) -> DeviceError:
        return DeviceError(f"{self._link.url} refused {name}: {status}", status=status, hint=_HINTS.get(status))


def _name(request: Asks[Any]) -> str:
    return type(request).__name__.removesuffix("Request")


_HINTS = {
    "TYF_ERR_NO_IDENTITY": "the board has no device identity; emulated boards get one from tinyfleet emulate",
    "TYF_ERR_NO_FRONTEND": "this model takes tensors: use device infer",
    "MGMT_ERR_EACCESSDENIED": "the device asks for a session and this host has no key for it; use the host that provisioned it",
    "TYF_IMAGE_ERR_INVALID_TLV": "the image is for another board",
    "TYF_IMAGE_ERR_NO_FREE_SLOT": "the firmware runs without a bootloader: tinyfleet build --signed makes one that can be updated",
    "TYF_IMAGE_ERR_IMAGE_ALREADY_PENDING": "an update is under way: tinyfleet firmware confirm or revert ends it",
    "TYF_IMAGE_ERR_CURRENT_VERSION_IS_NEWER": "it is older than what the board has confirmed, by its version or its security counter",
    "TYF_IMAGE_ERR_INVALID_IMAGE_HEADER_MAGIC": "it is no signed image: push NAME.slot0.bin or NAME.slot1.bin",
    "TYF_SETTINGS_ERR_KEY_NOT_FOUND": "no such setting is set",
    "TYF_FS_ERR_FILE_NOT_FOUND": "there is no such file: a board has crash only after a crash",
    "MGMT_ERR_ENOTSUP": "the firmware does not know this command; update it",
}
