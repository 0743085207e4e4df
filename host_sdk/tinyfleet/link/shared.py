"""A device whose port another program of this user holds, a gateway for one: through a socket that it offers.

The other end is :mod:`tinyfleet.gateway.proxy`; the bytes are in ``docs/spec/wire.md``. ``open_link`` comes here by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from smp.header import Header

from tinyfleet.link.link import Link
from tinyfleet.link.serial_ports import held_name
from tinyfleet.link.tcp import close_writer
from tinyfleet_codegen.errors import LinkClosed, LinkLost, LinkTimeout, ProtocolError

ENVIRONMENT = "TINYFLEET_PORTS"
VERSION = 1
_GREETING_BYTES = 4096
_RENEW_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the holder of a port says first, as one line of JSON.

    Attributes:
        version: Of this protocol.
        message_bytes: Largest message that it takes, header included.
        in_session: Whether it speaks to the device in a session; then all that goes through it does.
    """

    version: int
    message_bytes: int
    in_session: bool

    def encode(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Keys that we do not know are ignored.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        facts = json.loads(line)
        return cls(version=int(facts["version"]), message_bytes=int(facts["message_bytes"]), in_session=bool(facts["in_session"]))


def sockets_folder() -> Path:
    """Where the sockets are: ``TINYFLEET_PORTS``, else below ``XDG_RUNTIME_DIR`` or the folder for temporary files."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named)
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "tinyfleet"
    return Path(tempfile.gettempdir()) / f"tinyfleet-{os.getuid()}"


def socket_path(url: str) -> Path:
    """The socket of a device URL: the same for all names that a serial port has today, else as it is written where the port is held.

    Raises:
        LinkClosed: the URL names no port that is here.
    """
    return sockets_folder() / f"{hashlib.sha256(held_name(url).encode()).hexdigest()[:32]}.sock"


def is_private(folder: Path) -> bool:
    """Whether a folder is there, ours, and closed to all others."""
    try:
        status = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


class SharedLink(Link):
    """Messages through another program; it sends them in its turn and hands the replies back, one after the other."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: Greeting) -> None:
        super().__init__(url)
        self._reader = reader
        self._writer = writer
        self._greeting = greeting
        self._is_lost = False
        self.is_in_session = greeting.in_session

    async def renew(self, timeout_s: float) -> None:
        """Wait for the device to be shared again: its holder may restart, or connect to it anew. See :class:`Link`."""
        if not self._is_lost:
            return
        await self.disconnect()
        try:
            async with asyncio.timeout(timeout_s):
                while (again := await open_shared(self.url, timeout_s)) is None:  # noqa: ASYNC110 - nothing tells when a socket appears
                    await asyncio.sleep(_RENEW_POLL_S)
        except TimeoutError as error:
            raise LinkTimeout(
                f"no program holds {self.url} any more, for {timeout_s:g} s", hint="did its gateway stop? try again"
            ) from error
        if again.is_in_session != self.is_in_session:
            await again.disconnect()
            raise LinkClosed(f"the program that holds {self.url} speaks to it in {'a' if again.is_in_session else 'no'} session now")
        self._reader, self._writer, self._greeting, self._is_lost = again._reader, again._writer, again._greeting, False

    def _lost(self, why: str) -> LinkLost:
        self._is_lost = True
        return LinkLost(f"the program that holds {self.url} {why}")

    async def disconnect(self) -> None:
        """Leave the port to its holder."""
        await close_writer(self._writer)

    async def send(self, data: bytes) -> None:
        """See :class:`Link`."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise self._lost("is gone") from error

    async def receive(self) -> bytes:
        """See :class:`Link`."""
        try:
            return await read_message(self._reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise self._lost("is gone, or has lost the device") from error

    @property
    def most_under_way(self) -> int:
        """Its holder takes one at a time, so that it has its own turn after each."""
        return 1

    @property
    def max_unencoded_size(self) -> int:
        """As its holder says, whatever the device does."""
        return self._greeting.message_bytes


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """The next message of a stream: it is as long as its header says.

    Raises:
        IncompleteReadError, OSError: the stream ended.
    """
    head = await reader.readexactly(Header.SIZE)
    return head + await reader.readexactly(int.from_bytes(head[2:4], "big"))


async def open_shared(url: str, timeout_s: float) -> SharedLink | None:
    """The device through the program of this user that holds its port; None: none does.

    Raises:
        LinkTimeout: it does not answer.
        ProtocolError: it speaks otherwise.
    """
    try:
        path = await asyncio.to_thread(socket_path, url)
    except LinkClosed:
        return None  # No port, nobody who holds it; who opens it will say so.
    if not path.exists() or not is_private(path.parent):
        return None
    async with AsyncExitStack() as undo:
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_unix_connection(str(path), limit=_GREETING_BYTES)
                undo.callback(writer.close)
                line = await reader.readline()
        except TimeoutError as error:
            raise LinkTimeout(f"the program that holds {url} does not answer within {timeout_s:g} s") from error
        except OSError:
            return None  # It was killed, and its socket is left.
        except ValueError as error:
            raise ProtocolError(f"what holds {url} is no gateway: it sent {_GREETING_BYTES} bytes without a line end") from error
        if not line:
            return None
        try:
            greeting = Greeting.decode(line)
        except (ValueError, KeyError, TypeError) as error:
            raise ProtocolError(f"what holds {url} is no gateway: {line[:80]!r}") from error
        if greeting.version != VERSION:
            raise ProtocolError(
                f"the gateway that holds {url} speaks version {greeting.version} of its socket, this host {VERSION}",
                hint="update tinyfleet",
            )
        undo.pop_all()
    return SharedLink(url, reader, writer, greeting)
