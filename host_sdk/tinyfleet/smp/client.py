"""Asking a device: one request at a time, each with a deadline, each error of our own kind."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Any, cast

import cbor2
from pydantic import ValidationError
from smp.error import MGMT_ERR
from smp.exceptions import SMPException
from smpclient import SMPClient
from smpclient.exceptions import SMPClientException

from tinyfleet.link import Link
from tinyfleet.smp.message import Asks, GenericError, GroupError, ReplyT
from tinyfleet.smp.requests import ParamsRequest
from tinyfleet_codegen.errors import DeviceError, LinkTimeout, ProtocolError
from tinyfleet_codegen.wire.ids import SmpGroup, Status

log = logging.getLogger(__name__)
# smpclient logs each error that it also raises; ours are told once, by whoever catches them.
logging.getLogger("smpclient").setLevel(logging.CRITICAL)

REQUEST_OVERHEAD_BYTES = 64
"""Room for the header and the keys of a message whose rest is one byte string."""
ATTEMPTS = 2
"""How often a request is sent that may be repeated; they share the deadline."""
_FAR_AWAY_S = 86400.0


class DeviceClient:
    """A typed request-and-reply client on an open link.

    Args:
        link: The link; stays the caller's to close.
        timeout_s: Deadline of each request, replies and repetitions included.
    """

    def __init__(self, link: Link, timeout_s: float) -> None:
        self._link = link
        self._smp = SMPClient(link, link.url)
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()

    @property
    def payload_bytes(self) -> int:
        """Bytes of data that fit into one request."""
        return self._link.max_unencoded_size - REQUEST_OVERHEAD_BYTES

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
        """
        attempts = ATTEMPTS if repeatable else 1
        name = type(request).__name__.removesuffix("Request")
        async with self._turn:
            for attempt in range(1, attempts + 1):
                try:
                    # A request that waits in the write (a stopped board) has the same deadline as one that waits for its reply.
                    async with asyncio.timeout(self._timeout_s / attempts):
                        return cast(ReplyT, self._checked(name, await self._exchange(request)))
                except (TimeoutError, LinkTimeout) as error:
                    log.debug("no reply url=%s request=%s attempt=%d", self._link.url, name, attempt)
                    if attempt == attempts:
                        hint = "the board may be busy, stopped or serving another host"
                        raise LinkTimeout(f"{self._link.url} did not answer {name} within {self._timeout_s:g} s", hint=hint) from error
        raise AssertionError("unreachable")

    async def _exchange(self, request: Asks[ReplyT]) -> Any:
        try:
            return await self._smp.request(cast(Any, request), timeout_s=_FAR_AWAY_S)
        except (SMPClientException, SMPException, ValidationError, cbor2.CBORError, struct.error, ValueError, TypeError) as error:
            # The message may be pages long: smpclient puts the whole frame into it.
            first_line = next(filter(str.strip, str(error).splitlines()), type(error).__name__).strip()
            raise ProtocolError(
                f"{self._link.url} sent a reply to {type(request).__name__.removesuffix('Request')} that makes no sense: {first_line}"
            ) from error

    def _checked(self, name: str, reply: Any) -> Any:
        if isinstance(reply, GroupError):
            raise self._refused(name, _status_name(reply.err.group, reply.err.rc))
        if isinstance(reply, GenericError):
            raise self._refused(name, _generic_name(reply.rc))
        return reply

    def _refused(self, name: str, status: str) -> DeviceError:
        return DeviceError(f"{self._link.url} refused {name}: {status}", status=status, hint=_HINTS.get(status))


_HINTS = {
    "TYF_ERR_NO_IDENTITY": "the board has no device identity; emulated boards get one from tinyfleet emulate",
    "TYF_ERR_NO_FRONTEND": "this model takes tensors: use device infer",
    "MGMT_ERR_EACCESSDENIED": "the device asks for a session and this host has no key for it; use the host that provisioned it",
    "MGMT_ERR_ENOTSUP": "the firmware does not know this command; update it",
}


def _status_name(group: int, code: int) -> str:
    if group in (SmpGroup.TINYFLEET, SmpGroup.SESSION):
        try:
            return Status(-code).c_name
        except ValueError:
            return f"TYF_ERR_{code}"
    return f"group {group} error {code}"


def _generic_name(code: int) -> str:
    try:
        return f"MGMT_ERR_{MGMT_ERR(code).name}"
    except ValueError:
        return f"MGMT_ERR_{code}"
