"""Delivery to a tinyfleet cloud by HTTP: ``POST /v1/records``, believed only when the answer names what is stored.

A batch is CloudEvents in JSON or CBOR, packed with gzip. After some failures in a row the circuit is open: then an empty batch goes
first, and the real one only when that was answered, so that a struggling cloud is not offered megabytes again and again.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field

from tinyfleet.cloud_events import Encoding, batch_events, encode_events
from tinyfleet.gateway.sinks.answer import read_answer
from tinyfleet.gateway.sinks.sink import BatchTooLarge, Delivered, Delivery, RetryLater, SinkContext
from tinyfleet.gateway.sinks.tls import TlsSinkSettings
from tinyfleet.telemetry import Batch
from tinyfleet_codegen.errors import SinkError

log = logging.getLogger(__name__)

RETRY_AFTER_LIMIT_S = 3600.0
"""The longest pause that a cloud can ask for."""
ANSWER_LIMIT_BYTES = 2**20
"""An answer above this is not one of ours."""
OPEN_AFTER = 5
"""Failures in a row that open the circuit."""
GZIP_LEVEL = 1
"""Events repeat themselves: level 1 leaves 3 % of them at 1 us a record, level 6 2.4 % at 3 us."""


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    # A wrong port raises ValueError when it is asked for.
    is_ours = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    if not is_ours or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("not such a URL")
    return url.rstrip("/")


class HttpSinkSettings(TlsSinkSettings):
    """``[[sink]]`` of type ``http``: a tinyfleet cloud endpoint."""

    delivery: ClassVar[Delivery] = Delivery.DURABLE

    type: Literal["http"] = Field(description="'http'")
    url: Annotated[str, AfterValidator(_http_url)] = Field(description="http://HOST:PORT or https://HOST, without user and password")
    token_file: str | None = Field(
        default=None, min_length=1, description="a file with the access token, relative to the configuration file"
    )
    token_env: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="name of an environment variable with the access token"
    )
    timeout_s: float = Field(default=10.0, ge=0.1, le=600, description="seconds for one delivery, 0.1 to 600")
    encoding: Annotated[Encoding, Field(strict=False)] = Field(default=Encoding.JSON, description="'json' or 'cbor'")
    gzip: bool = Field(default=True, description="true or false: pack what is sent")

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        if self.token_file is not None and self.token_env is not None:
            return f"token_env = {self.token_env!r}: allowed: not together with token_file"
        if not self.url.startswith("https:") and (self.ca_file or self.cert_file):
            return f"url = {self.url!r}: allowed: https:// where ca_file or cert_file is given"
        return super().problem()

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        who = "without token" if self.token_file is None and self.token_env is None else "with token"
        return f"{self.url}, {who}{', with certificate' if self.cert_file else ''}"

    def open(self, context: SinkContext) -> HttpSink:
        """See :class:`SinkSettings`."""
        return HttpSink(self, context)


class HttpSink:
    """One cloud endpoint.

    Args:
        settings: Its table in the configuration.
        context: The gateway that it belongs to.

    Raises:
        ConfigError: the access token, a key or a certificate cannot be had.
    """

    def __init__(self, settings: HttpSinkSettings, context: SinkContext) -> None:
        self.name = settings.url
        self._settings = settings
        token = context.secret(f"sink {settings.label}: token", file=settings.token_file, env=settings.token_env)
        headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        verify: ssl.SSLContext | bool = settings.tls(context) if settings.url.startswith("https:") else False
        # trust_env=False: a proxy variable of the login shell must not divert what a service sends.
        self._client = httpx.AsyncClient(base_url=settings.url, headers=headers, timeout=settings.timeout_s, trust_env=False, verify=verify)
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: the cloud failed several times in a row."""
        return self._failures >= OPEN_AFTER

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`."""
        try:
            if self.is_open:
                await self._offer(Batch(batch.gateway_id, batch.outbox_id, ()))
                log.info("circuit closed sink=%s", self.name)
                self._failures = 0
            delivered = await self._offer(batch)
        except (SinkError, RetryLater):
            self._failures += 1
            if self._failures == OPEN_AFTER:
                log.warning("circuit open sink=%s failures=%d", self.name, self._failures)
            raise
        self._failures = 0
        return delivered

    async def _offer(self, batch: Batch) -> Delivered:
        encoding = self._settings.encoding
        headers = {"Content-Type": encoding.batch_type} | ({"Content-Encoding": "gzip"} if self._settings.gzip else {})
        body = await asyncio.to_thread(_body, batch, encoding, self._settings.gzip)
        try:
            async with (
                # httpx bounds each step; a cloud that trickles must not hold the batch for ever.
                asyncio.timeout(self._settings.timeout_s),
                self._client.stream("POST", "/v1/records", content=body, headers=headers) as response,
            ):
                content = await read_bounded(response, whose=self.name)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise SinkError(f"cannot deliver to {self.name}: {str(error) or type(error).__name__}", retryable=True) from error
        return self._read(response, content, batch)

    def _read(self, response: httpx.Response, content: bytes, batch: Batch) -> Delivered:
        status = response.status_code
        if status in (429, 503, 507) and (pause_s := _retry_after_s(response)) is not None:
            raise RetryLater(pause_s, f"{self.name} answered {status}")
        if status == 413:
            raise BatchTooLarge
        if status not in (200, 422):
            hint = _HINTS.get(status)
            raise SinkError(f"{self.name} answered {status}: {content[:200].decode(errors='replace')}", retryable=True, hint=hint)
        return read_answer(content, batch.envelopes, whose=self.name)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


_WRONG_SERVER = "is this the URL of a tinyfleet cloud?"
_HINTS = {
    401: "set token_file or token_env of the sink",
    403: "set token_file or token_env of the sink",
    404: _WRONG_SERVER,
    405: _WRONG_SERVER,
    415: "update the cloud: it does not know this gateway's form of a batch",
}


async def read_bounded(response: httpx.Response, *, whose: str) -> bytes:
    """The whole body of an answer that is being read.

    Raises:
        SinkError: it is longer than any answer of a cloud.
    """
    content = b""
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > ANSWER_LIMIT_BYTES:
            raise SinkError(f"{whose} answered with more than {ANSWER_LIMIT_BYTES} bytes", retryable=True, hint=_WRONG_SERVER)
    return content


def _body(batch: Batch, encoding: Encoding, pack: bool) -> bytes:
    body = encode_events(batch_events(batch, encoding), encoding)
    return gzip.compress(body, GZIP_LEVEL) if pack else body


def _retry_after_s(response: httpx.Response) -> float | None:
    """``Retry-After`` in seconds; None when absent or a date."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), RETRY_AFTER_LIMIT_S) if text.isascii() and text.isdigit() else None
