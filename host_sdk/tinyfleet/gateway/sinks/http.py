"""Delivery to a tinyfleet cloud by HTTP: ``POST /v1/records``, believed only when the answer names what is stored."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from tinyfleet.gateway.sinks.sink import BatchTooLarge, Delivered, Delivery, RetryLater, SinkContext, SinkSettings
from tinyfleet.telemetry import TELEMETRY_VERSION, Batch, DerivedEnvelope, Envelope
from tinyfleet_codegen.errors import SinkError

RETRY_AFTER_LIMIT_S = 3600.0
"""The longest pause that a cloud can ask for."""
ANSWER_LIMIT_BYTES = 2**20
"""An answer above this is not one of ours."""


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ValueError("not such a URL")
    return url.rstrip("/")


class HttpSinkSettings(SinkSettings):
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

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        both = self.token_file is not None and self.token_env is not None
        return f"token_env = {self.token_env!r}: allowed: not together with token_file" if both else None

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        return f"{self.url}, {'without' if self.token_file is None and self.token_env is None else 'with'} token"

    def open(self, context: SinkContext) -> HttpSink:
        """See :class:`SinkSettings`."""
        return HttpSink(self, context)


class _Range(BaseModel):
    """Records first .. last (both included) of one boot are stored."""

    device_id: str
    boot_id: int
    first: int
    last: int


class _DerivedRange(BaseModel):
    """Derived records first .. last (both included) of one kind are stored."""

    kind: str
    first: int
    last: int


class _Refusal(BaseModel):
    index: Annotated[int, Field(ge=0)]
    reason: str


class _Answer(BaseModel):
    version: int
    acknowledged: list[_Range]
    acknowledged_derived: list[_DerivedRange] = []
    refused: list[_Refusal] = []
    refused_derived: list[_Refusal] = []


class HttpSink:
    """One cloud endpoint.

    Args:
        settings: Its table in the configuration.
        context: The gateway that it belongs to.

    Raises:
        ConfigError: the access token cannot be had.
    """

    def __init__(self, settings: HttpSinkSettings, context: SinkContext) -> None:
        self.name = settings.url
        token = context.secret(f"sink {settings.label}: token", file=settings.token_file, env=settings.token_env)
        headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        # trust_env=False: a proxy variable of the login shell must not divert what a service sends.
        self._client = httpx.AsyncClient(base_url=settings.url, headers=headers, timeout=settings.timeout_s, trust_env=False)

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`."""
        try:
            async with self._client.stream("POST", "/v1/records", json=batch.to_json()) as response:
                content = b""
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > ANSWER_LIMIT_BYTES:
                        raise SinkError(
                            f"{self.name} answered with more than {ANSWER_LIMIT_BYTES} bytes", retryable=True, hint=_WRONG_SERVER
                        )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SinkError(f"cannot deliver to {self.name}: {error or type(error).__name__}", retryable=True) from error
        return self._read(response, content, batch)

    def _read(self, response: httpx.Response, content: bytes, batch: Batch) -> Delivered:
        status = response.status_code
        if status in (429, 503, 507) and (pause_s := _retry_after_s(response)) is not None:
            raise RetryLater(pause_s, f"{self.name} answered {status}")
        if status == 413:
            raise BatchTooLarge
        if status not in (200, 422):
            hint = "set token_file or token_env of the sink" if status in (401, 403) else None
            raise SinkError(f"{self.name} answered {status}: {content[:200].decode(errors='replace')}", retryable=True, hint=hint)
        try:
            answer = _Answer.model_validate_json(content)
        except ValidationError as error:
            text = content[:200].decode(errors="replace")
            raise SinkError(
                f"{self.name} answered {status} without an acknowledgement: {text}", retryable=True, hint=_WRONG_SERVER
            ) from error
        if answer.version != TELEMETRY_VERSION:
            raise SinkError(f"{self.name} answers in version {answer.version}, this gateway reads {TELEMETRY_VERSION}", retryable=True)
        stored = [e.entry for e in batch.records if any(_covers(r, e) for r in answer.acknowledged)]
        stored += [e.entry for e in batch.derived if any(_covers_derived(r, e) for r in answer.acknowledged_derived)]
        refused: list[tuple[int, str]] = []
        for named, offered in ((answer.refused, batch.records), (answer.refused_derived, batch.derived)):
            refused += [(offered[r.index].entry, r.reason[:200]) for r in named if r.index < len(offered)]
        return Delivered(frozenset(stored), tuple(refused))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


_WRONG_SERVER = "is this the URL of a tinyfleet cloud?"


def _covers(stored: _Range, envelope: Envelope) -> bool:
    identity = envelope.identity
    return (
        stored.device_id == identity.device_id.hex() and stored.boot_id == identity.boot_id and stored.first <= identity.seq <= stored.last
    )


def _covers_derived(stored: _DerivedRange, envelope: DerivedEnvelope) -> bool:
    return stored.kind == envelope.kind and stored.first <= envelope.number <= stored.last


def _retry_after_s(response: httpx.Response) -> float | None:
    """``Retry-After`` in seconds; None when absent or a date."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), RETRY_AFTER_LIMIT_S) if text.isascii() and text.isdigit() else None
