"""From an ingest to the cloud that stores: a batch of events by HTTP, and its answer."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import httpx

from tinyfleet.cloud_events import Encoding
from tinyfleet.gateway.backoff import Backoff
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
        try:
            response = await self._client.post("/v1/records", content=gzip.compress(body, GZIP_LEVEL), headers=headers, params=query)
            answer = response.json() if response.status_code in (200, 422) else None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SinkError(f"cannot deliver to {self.url}: {str(error) or type(error).__name__}", retryable=True) from error
        except ValueError as error:
            raise SinkError(f"{self.url} does not answer in JSON", retryable=True, hint="is it a tinyfleet cloud?") from error
        if response.status_code == 413:
            raise TooLarge
        if isinstance(answer, dict) and "acknowledged" in answer:
            return answer
        if response.status_code == 422:
            raise ProtocolError(f"{self.url} cannot read a batch: {response.text[:200]}")
        raise SinkError(f"{self.url} answered {response.status_code}: {response.text[:200]}", retryable=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.aclose()


async def until_done(work: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Do it again until it does not raise :class:`SinkError`, with growing pauses; returns what it returns."""
    backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
    while True:
        try:
            return await work()
        except SinkError as error:
            log.warning("%s failed error=%s hint=%s", what, error, error.hint or "-")
            await asyncio.sleep(backoff.next_s())
