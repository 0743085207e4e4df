"""From an ingest to the cloud that stores: a batch of events by HTTP, and its answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from tinyfleet.cloud_events import Encoding
from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.sinks.http import read_bounded
from tinyfleet_codegen.errors import ProtocolError, SinkError

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.1
RETRY_LIMIT_S = 10.0
GZIP_LEVEL = 1


class TooLarge(Exception):
    """The cloud takes less at once."""


class Forwarder:
    """One cloud; an asynchronous context manager.

    Args:
        url: ``http://HOST:PORT`` or ``https://HOST``.
        token: Sent as bearer token; None sends none.
        tls: Whom to trust and who we are; None: whom the system trusts.
        timeout_s: For one batch.
    """

    def __init__(self, url: str, *, token: str | None, tls: ssl.SSLContext | None = None, timeout_s: float = 10.0) -> None:
        self.url = url
        self._timeout_s = timeout_s
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        verify: ssl.SSLContext | bool = (tls or ssl.create_default_context()) if url.startswith("https:") else False
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout_s, trust_env=False, verify=verify)

    async def post(self, body: bytes, encoding: Encoding, *, gateway_id: str | None = None) -> dict[str, Any]:
        """Offer one batch; returns the answer (``docs/spec/rest.md``) when the cloud has committed what it acknowledges.

        Args:
            body: The encoded batch.
            encoding: Its encoding.
            gateway_id: The only gateway that may have made the events; None: any.

        Raises:
            SinkError: nothing is known; offer it again.
            TooLarge: offer less at once.
            ProtocolError: the cloud cannot read it at all.
        """
        headers = {"Content-Type": encoding.batch_type, "Content-Encoding": "gzip"}
        query = {} if gateway_id is None else {"gateway": gateway_id}
        packed = gzip.compress(body, GZIP_LEVEL)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("POST", "/v1/records", content=packed, headers=headers, params=query) as response,
            ):
                content = await read_bounded(response, whose=self.url)
            answer = json.loads(content) if response.status_code in (200, 422) else None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise SinkError(f"cannot deliver to {self.url}: {str(error) or type(error).__name__}", retryable=True) from error
        except (ValueError, RecursionError) as error:
            raise SinkError(f"{self.url} does not answer in JSON", retryable=True, hint="is it a tinyfleet cloud?") from error
        if response.status_code == 413:
            raise TooLarge
        if isinstance(answer, dict) and isinstance(answer.get("acknowledged"), list) and isinstance(answer.setdefault("refused", []), list):
            return answer
        text = content[:200].decode(errors="replace")
        if response.status_code == 422:
            raise ProtocolError(f"{self.url} cannot read a batch: {text}")
        raise SinkError(f"{self.url} answered {response.status_code}: {text}", retryable=True)

    async def post_all(self, events: Sequence[bytes], encoding: Encoding, *, source: str) -> None:
        """Offer encoded events until the cloud has each, or will never take it; in smaller batches where one spoils the others.

        Args:
            events: Each encoded for itself, in their order.
            encoding: Theirs.
            source: Where they are from, for logs.
        """
        empty = [event for event in events if not event.strip()]
        if empty:
            log.error("empty events left out count=%d source=%s", len(empty), source)
            events = [event for event in events if event.strip()]
        if not events:
            return

        async def offer() -> dict[str, Any] | None:
            try:
                answer = await self.post(_list_of(events, encoding), encoding)
            except (TooLarge, ProtocolError) as error:
                if len(events) > 1:
                    return None
                log.error("event left out: bytes=%d error=%s", len(events[0]), error or "too large")
                return {"refused": []}
            if (count := answered(answer)) < len(events):
                raise SinkError(f"{self.url} answered for {count} of {len(events)} events", retryable=True, hint="is it a tinyfleet cloud?")
            return answer

        answer = await until_done(offer, f"forwarding from {source}")
        if answer is None:
            middle = len(events) // 2
            await self.post_all(events[:middle], encoding, source=source)
            await self.post_all(events[middle:], encoding, source=source)
            return
        for refusal in answer["refused"][:3]:
            log.error("event refused reason=%s", refusal.get("reason") if isinstance(refusal, dict) else refusal)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.aclose()


def answered(answer: Mapping[str, Any]) -> int:
    """Of how many events an answer says what became of them. Who believes less would mark as read what nobody has."""
    counts = [answer.get(name, 0) for name in ("stored", "derived", "redelivered", "duplicated", "alarms", "reports")]
    return sum(count for count in counts if isinstance(count, int)) + len(answer["refused"])


def _list_of(events: Sequence[bytes], encoding: Encoding) -> bytes:
    return b"[" + b",".join(events) + b"]" if encoding is Encoding.JSON else b"\x9f" + b"".join(events) + b"\xff"


async def until_done(work: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Do it again until it does not raise :class:`SinkError`, with growing pauses; returns what it returns."""
    backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
    while True:
        try:
            return await work()
        except SinkError as error:
            log.warning("%s failed error=%s hint=%s", what, error, error.hint or "-")
            await asyncio.sleep(backoff.next_s())
