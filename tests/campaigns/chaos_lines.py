"""What stands between the processes of the campaign and makes the network bad: a line to each board, and one to the cloud."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

_READ_BYTES = 65536
_TIMEOUT_S = 20.0


class BoardLine:
    """The port at which the gateway finds a board, whichever port that has now; cut, stalled, or leading nowhere.

    Attributes:
        url: ``tcp://127.0.0.1:PORT``, for the gateway.
    """

    def __init__(self) -> None:
        self.url = ""
        self._board_port: int | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def lead_to(self, board_port: int | None) -> None:
        """Where it leads from now on; None: connections are closed at once."""
        self._board_port = board_port
        self.cut()

    def cut(self) -> None:
        """Reset all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def stall(self, seconds: float) -> None:
        """Let nothing through for that long; nothing is lost."""
        self._flows.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._flows.set()

    async def close(self) -> None:
        """Listen no more."""
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._board_port is None:
                return
            board_reader, board_writer = await asyncio.open_connection("127.0.0.1", self._board_port)
            self._writers.add(board_writer)
            try:
                copies = [asyncio.create_task(self._copy(reader, board_writer)), asyncio.create_task(self._copy(board_reader, writer))]
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
                for copy in copies:
                    copy.cancel()
            finally:
                self._writers.discard(board_writer)
                board_writer.close()
        except OSError:
            pass  # The board is gone, or the gateway is.
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


class Trouble(StrEnum):
    """What can happen to one request on its way to the cloud, or to its answer."""

    ANSWERED_500 = "answered_500"
    ANSWERED_503 = "answered_503"
    NONSENSE = "answered_nonsense"
    SLOW = "slow"
    REQUEST_LOST = "request_lost"
    REQUEST_TORN = "request_torn"
    ANSWER_LOST = "answer_lost"
    ANSWER_TORN = "answer_torn"
    TWICE = "delivered_twice"
    AGAIN_LATER = "delivered_again_later"
    OVERTAKEN = "overtaken"


_ANSWERS = {
    Trouble.ANSWERED_500: b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    Trouble.ANSWERED_503: b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    Trouble.NONSENSE: b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
}
_OVERTAKEN_BY = 3
"""So many requests pass one that is overtaken."""


@dataclass(slots=True)
class _Held:
    request: bytes
    passed: int = 0


@dataclass(slots=True)
class CloudLine:
    """An HTTP proxy before the cloud. Each request takes the next trouble that waits.

    Attributes:
        port: Where the gateway finds it.
        cloud_port: Says where the cloud is now.
        on_trouble: Called when one has happened.
        troubles: What will happen to the next requests.
    """

    cloud_port: Callable[[], int]
    on_trouble: Callable[[Trouble], None]
    port: int = 0
    troubles: deque[Trouble] = field(default_factory=deque)
    slow_s: float = 1.5
    _held: list[_Held] = field(default_factory=list)
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**23)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def release(self) -> None:
        """Deliver what was held back; no more trouble."""
        self.troubles.clear()
        held, self._held = self._held, []
        for one in held:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._ask(one.request)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                request = await _read_message(reader)
                trouble = self.troubles.popleft() if self.troubles else None
                answer = await self._pass(request, trouble)
                if trouble is not None:
                    self.on_trouble(trouble)
                await self._let_held_go()
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if trouble is Trouble.ANSWER_TORN or b"connection: close" in answer.partition(b"\r\n\r\n")[0].lower():
                    break
        writer.close()

    async def _pass(self, request: bytes, trouble: Trouble | None) -> bytes | None:
        """The answer that the gateway gets; None: a closed connection."""
        if trouble in _ANSWERS:
            return _ANSWERS[trouble]
        if trouble is Trouble.REQUEST_LOST:
            return None
        if trouble is Trouble.REQUEST_TORN:
            _, writer = await asyncio.open_connection("127.0.0.1", self.cloud_port())
            writer.write(request[: len(request) // 2])
            writer.close()
            return None
        if trouble is Trouble.OVERTAKEN:
            self._held.append(_Held(request))
            return None
        if trouble is Trouble.SLOW:
            await asyncio.sleep(self.slow_s)
        if trouble is Trouble.TWICE:
            await self._ask(request)
        answer = await self._ask(request)
        if trouble is Trouble.AGAIN_LATER:
            self._held.append(_Held(request))
        if trouble is Trouble.ANSWER_LOST:
            return None
        return answer[: len(answer) // 2] if trouble is Trouble.ANSWER_TORN else answer

    async def _let_held_go(self) -> None:
        for held in list(self._held):
            held.passed += 1
            if held.passed >= _OVERTAKEN_BY:
                self._held.remove(held)
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await self._ask(held.request)

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.cloud_port(), limit=2**23)
        try:
            writer.write(request)
            await writer.drain()
            async with asyncio.timeout(_TIMEOUT_S):
                return await _read_message(reader)
        finally:
            writer.close()


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP/1.1 request or answer with a Content-Length or without a body, as bytes."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
        assert name.strip().lower() != b"transfer-encoding", "chunks are not expected here"
    return head + await reader.readexactly(length)
