"""A board made of Python, to hang on the other end of any link: it answers as told, also badly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import cbor2
from smp.header import OP, CommandId, GroupId, Header, Version

from tinyfleet.device import Device
from tinyfleet.gateway.proxy import shared
from tinyfleet.link import Link, open_link
from tinyfleet.link.framing import FrameDecoder, encode_message
from tinyfleet.link.link import ConsoleLink
from tinyfleet.link.memory import MemoryPipe
from tinyfleet.link.shared import SharedLink
from tinyfleet.smp.client import DeviceClient

BUF_SIZE = 2048
Handler = Callable[[dict[str, Any]], dict[str, Any] | None]
"""From a request's map to the reply's; None: no answer."""
Peer = Callable[["PythonBoard"], AbstractAsyncContextManager[tuple[str, Callable[[], None] | None]]]
"""Serves the board; yields its URL and what cuts the connection (None: it comes back)."""


class PythonBoard:
    """Answers SMP requests.

    Attributes:
        handlers: Per (op, group, command).
        noise: Sent before each reply and after each of its lines.
        piece_bytes: Replies are sent in pieces of this size; None: whole.
        silent_requests: How many of the next requests get no answer.
        are_silent_replies_late: Those answers are sent before the next one instead of never.
        requests: (group, command) of all requests so far.
        ignored_one: Set when a request got no answer.
    """

    def __init__(self) -> None:
        self.handlers: dict[tuple[OP, int, int], Handler] = {
            (OP.WRITE, GroupId.OS_MANAGEMENT, CommandId.OSManagement.ECHO): lambda request: {"r": request["d"]},
            (OP.READ, GroupId.OS_MANAGEMENT, CommandId.OSManagement.MCUMGR_PARAMETERS): lambda _: {"buf_size": BUF_SIZE, "buf_count": 1},
        }
        self.noise = b""
        self.piece_bytes: int | None = None
        self.silent_requests = 0
        self.are_silent_replies_late = False
        self.requests: list[tuple[int, int]] = []
        self.ignored_one = asyncio.Event()
        self._late: list[bytes] = []
        self._decoder = FrameDecoder()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the host, as lines of a console; returns pieces to send."""
        sent = b"".join(self._on_console(self.answer(message)) for message in self._decoder.feed(data))
        size = self.piece_bytes or max(1, len(sent))
        return [sent[start : start + size] for start in range(0, len(sent), size)]

    def _on_console(self, replies: list[bytes]) -> bytes:
        lines = b"".join(map(encode_message, replies))
        return self.noise + lines.replace(b"\n", b"\n" + self.noise) if self.noise and lines else lines

    def answer(self, message: bytes) -> list[bytes]:
        """The messages that it sends upon a request: its reply, behind those that are late; or none."""
        header = Header.loads(message[: Header.SIZE])
        self.requests.append((int(header.group_id), int(header.command_id)))
        handler = self.handlers.get((header.op, int(header.group_id), int(header.command_id)), lambda _: {"rc": 8})
        reply = handler(cbor2.loads(message[Header.SIZE :]))
        if reply is None:
            return []
        body = cbor2.dumps(reply)
        op = OP.READ_RSP if header.op == OP.READ else OP.WRITE_RSP
        reply_header = Header(op, Version.V2, header.flags, len(body), header.group_id, header.sequence, header.command_id)
        answer = bytes(reply_header) + body
        if self.silent_requests:
            self.silent_requests -= 1
            self.ignored_one.set()
            self._late += [answer] if self.are_silent_replies_late else []
            return []
        late, self._late = self._late, []
        return [*late, answer]


@asynccontextmanager
async def tcp_peer(board: PythonBoard) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Serve the board on a TCP port; yields its URL and what cuts the connection."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                for piece in board.feed(data):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)

    def abort() -> None:
        writers[0].transport.abort()

    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", abort
    finally:
        server.close()
        for writer in writers:
            writer.close()


@asynccontextmanager
async def pty_peer(board: PythonBoard) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Serve the board on a pseudo-terminal; yields its URL and what unplugs it."""
    loop = asyncio.get_running_loop()
    master, slave = os.openpty()
    tty.setraw(slave)
    is_open = True

    def readable() -> None:
        with contextlib.suppress(OSError):
            for piece in board.feed(os.read(master, 4096)):
                os.write(master, piece)

    def unplug() -> None:
        nonlocal is_open
        if is_open:
            is_open = False
            loop.remove_reader(master)
            os.close(master)

    loop.add_reader(master, readable)
    try:
        yield f"serial://{os.ttyname(slave)}?baud=115200", unplug
    finally:
        unplug()
        os.close(slave)


class LoadedBoard:
    """The board with the functions of the firmware's host library."""

    def __init__(self, board: PythonBoard, ffi: Any) -> None:
        self._board = board
        self._ffi = ffi
        self._sent = b""

    def tyf_host_power_on(self, nvm: Any, nvm_bytes: int) -> None:
        """Nothing to start."""

    def tyf_host_feed(self, data: bytes, count: int) -> int:
        """Takes at most 100 bytes at a time, as a small buffer would."""
        accepted = min(count, 100)
        self._sent += b"".join(self._board.feed(data[:accepted]))
        return accepted

    def tyf_host_take(self, buffer: Any, capacity: int) -> int:
        """Hand over what was sent."""
        count = min(len(self._sent), capacity)
        self._ffi.memmove(buffer, self._sent[:count], count)
        self._sent = self._sent[count:]
        return count


@asynccontextmanager
async def open_memory(board: PythonBoard) -> AsyncIterator[Link]:
    """A link to the board in this process."""
    import mmap  # noqa: PLC0415

    import cffi  # noqa: PLC0415

    ffi = cffi.FFI()
    with mmap.mmap(-1, 4096) as nvm:
        pipe = MemoryPipe(ffi, LoadedBoard(board, ffi), nvm)
        try:
            yield ConsoleLink("memory://", pipe)
        finally:
            await pipe.close()


@asynccontextmanager
async def open_to(kind: str, board: PythonBoard) -> AsyncIterator[tuple[Link, Callable[[], None] | None]]:
    """An open link of this kind to the board, and what takes the board away (None: it cannot go)."""
    if kind == "memory":
        async with open_memory(board) as link:
            yield link, None
        return
    if kind == "shared":
        async with tcp_peer(board) as (url, cut), open_link(url) as held:
            holder = DeviceClient(held, 5.0)
            held.initialize(BUF_SIZE)
            async with shared(Device(url, holder, 5.0)), open_link(url) as link:
                assert isinstance(link, SharedLink)
                yield link, cut
        return
    from tests.host.ble_peer import ble_peer  # noqa: PLC0415

    peers: dict[str, Peer] = {"tcp": tcp_peer, "serial": pty_peer, "ble": ble_peer}
    async with peers[kind](board) as (url, cut), open_link(url) as link:
        yield link, cut
