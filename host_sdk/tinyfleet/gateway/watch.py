"""The gateway's own small HTTP server: ``/metrics`` for Prometheus, ``/healthz`` and ``/readyz`` for who restarts and routes.

It answers GET, one request a connection, and holds nothing that a client can make grow.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tinyfleet.gateway.config import GatewayConfig
from tinyfleet.gateway.outbox import OutboxState
from tinyfleet.gateway.status import GatewayStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet_codegen.errors import ConfigError, SetupError, StoreError

log = logging.getLogger(__name__)

STORE_DEADLINE_S = 5.0
"""An outbox that does not answer within this is stuck."""
FAILING_S = 60.0
"""A sink that has failed for this long makes the gateway not ready."""
_REQUEST_BYTES = 8192
_REQUEST_TIMEOUT_S = 5.0
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Watch:
    """Answers requests about one running gateway.

    Args:
        status: Of the gateway.
        config: Gives its configuration, which may change.
        store: Its outbox.
    """

    def __init__(self, status: GatewayStatus, config: Callable[[], GatewayConfig], store: StoreThread) -> None:
        self._status = status
        self._config = config
        self._store = store

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[str]:
        """Listen while the context lasts; yields the URL.

        Raises:
            ConfigError: the address cannot be listened on.
            SetupError: the package for metrics is not installed.
        """
        try:
            import prometheus_client  # noqa: F401, PLC0415 (an optional extra)
        except ModuleNotFoundError as error:
            raise SetupError(f"metrics need the package {error.name}", hint="pip install 'tinyfleet[gateway]'") from error
        try:
            server = await asyncio.start_server(self._serve, host, port, limit=_REQUEST_BYTES)
        except OSError as error:
            raise ConfigError(
                f"gateway.metrics_port = {port}: cannot listen on {host}: {error.strerror}", hint="0 takes a free port"
            ) from error
        name = f"[{host}]" if ":" in host else host
        try:
            yield f"http://{name}:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(_REQUEST_TIMEOUT_S + STORE_DEADLINE_S):
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _REQUEST_TIMEOUT_S)
                code, kind, body = await self._answer(head)
                writer.write(
                    f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                    "Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
                )
                writer.write(body)
                await writer.drain()
        writer.close()

    async def _answer(self, head: bytes) -> tuple[int, str, bytes]:
        words = head.partition(b"\r\n")[0].split()
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return 400, "text/plain", b"not a request\n"
        if words[0] != b"GET":
            return 405, "text/plain", b"GET only\n"
        path = words[1].partition(b"?")[0]
        if path not in (b"/metrics", b"/healthz", b"/readyz"):
            return 404, "text/plain", b"/metrics, /healthz, /readyz\n"
        try:
            outbox = await asyncio.wait_for(self._store.call(lambda outbox: outbox.state()), STORE_DEADLINE_S)
        except (StoreError, TimeoutError, asyncio.CancelledError) as error:
            return 503, "application/json", _verdict([f"the outbox does not answer: {error or 'time-out'}"])
        if path == b"/metrics":
            from tinyfleet.gateway.metrics import CONTENT_TYPE, exposition  # noqa: PLC0415 (an optional extra)

            return 200, CONTENT_TYPE, exposition(self._status, outbox, self._config().outbox.max_bytes)
        problems = self._problems(outbox) if path == b"/readyz" else []
        return 503 if problems else 200, "application/json", _verdict(problems)

    def _problems(self, outbox: OutboxState) -> list[str]:
        """Why it is no use to rely on this gateway now."""
        problems = []
        if outbox.depth.used_bytes >= self._config().outbox.max_bytes:
            problems.append("the outbox is full")
        if self._status.devices and not any(device.state == "connected" for device in self._status.devices):
            problems.append("no device is connected")
        for sink in self._status.sinks:
            if sink.failing_s is not None and sink.failing_s >= FAILING_S:
                problems.append(f"sink {sink.name} has failed for {sink.failing_s:.0f} s: {sink.last_error}")
        return problems


def _verdict(problems: list[str]) -> bytes:
    return json.dumps({"ok": not problems, "problems": problems}).encode() + b"\n"
