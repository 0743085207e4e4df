"""An HTTP server that answers as told and remembers what it was told: the far end of a rule's webhook."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Hook:
    """One server; ``statuses`` are answered in turn, then 204. A status of 0 answers nothing.

    Attributes:
        heard: Key and body of each call, also of those that it refused.
        taken: Of those that it answered with 204.
    """

    statuses: list[int] = field(default_factory=list)
    headers: str = ""
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'http' if self.tls is None else 'https'}://localhost:{self.port}/hook"

    @property
    def keys(self) -> list[str]:
        """Keys of what it took, in the order of their first coming."""
        return list(dict.fromkeys(key for key, _ in self.taken))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
                call = fields["idempotency-key"], json.loads(await reader.readexactly(int(fields["content-length"])))
                self.heard.append(call)
                status = self.statuses.pop(0) if self.statuses else 204
                if status == 0:
                    await reader.read()
                    return
                if status == 204:
                    self.taken.append(call)
                writer.write(f"HTTP/1.1 {status} X\r\n{self.headers}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While the context lasts, on the port of the last time."""
        server = await asyncio.start_server(self.answer, "127.0.0.1", self.port, ssl=self.tls)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield
        finally:
            server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 1)


@asynccontextmanager
async def hook(*statuses: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hook]:
    """A server that listens."""
    made = Hook(list(statuses), tls=tls)
    async with made.listening():
        yield made
