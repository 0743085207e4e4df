"""Delivery to a tinyfleet cloud by HTTP: ``POST /v1/records``, believed only when the answer names what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import httpx
from pydantic import BaseModel, Field, SecretStr, ValidationError

from tinyfleet.gateway.config import HttpSinkSettings
from tinyfleet.gateway.sink import BatchTooLarge, Delivery, RetryLater
from tinyfleet.telemetry import TELEMETRY_VERSION, Envelope, LossReport, batch_to_json
from tinyfleet_codegen.errors import SinkError

RETRY_AFTER_LIMIT_S = 3600.0
"""The longest pause that a cloud can ask for."""
ANSWER_LIMIT_BYTES = 2**20
"""An answer above this is not one of ours."""


class _Range(BaseModel):
    """Records first .. last (both included) of one boot are stored."""

    device_id: str
    boot_id: int
    first: int
    last: int


class _Refusal(BaseModel):
    index: Annotated[int, Field(ge=0)]
    reason: str


class _Answer(BaseModel):
    version: int
    acknowledged: list[_Range]
    refused: list[_Refusal] = []


class HttpSink:
    """One cloud endpoint.

    Args:
        settings: Its table in the configuration.
        token: Sent as bearer token; None sends none.
        gateway_id: Name of this gateway.
        outbox_id: The outbox that the entries belong to.
    """

    def __init__(self, settings: HttpSinkSettings, *, token: SecretStr | None, gateway_id: str, outbox_id: bytes) -> None:
        self.name = settings.url
        self._gateway_id = gateway_id
        self._outbox_id = outbox_id
        headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        # trust_env=False: a proxy variable of the login shell must not divert what a service sends.
        self._client = httpx.AsyncClient(base_url=settings.url, headers=headers, timeout=settings.timeout_s, trust_env=False)

    async def deliver(self, envelopes: Sequence[Envelope], reports: Sequence[LossReport]) -> Delivery:
        """See :class:`tinyfleet.gateway.sink.Sink`."""
        body = batch_to_json(envelopes, reports, gateway_id=self._gateway_id, outbox_id=self._outbox_id)
        try:
            async with self._client.stream("POST", "/v1/records", json=body) as response:
                content = b""
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > ANSWER_LIMIT_BYTES:
                        raise SinkError(
                            f"{self.name} answered with more than {ANSWER_LIMIT_BYTES} bytes", retryable=True, hint=_WRONG_SERVER
                        )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SinkError(f"cannot deliver to {self.name}: {error or type(error).__name__}", retryable=True) from error
        return self._read(response, content, envelopes)

    def _read(self, response: httpx.Response, content: bytes, envelopes: Sequence[Envelope]) -> Delivery:
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
        return Delivery(
            accepted=frozenset(e.entry for e in envelopes if any(_covers(r, e) for r in answer.acknowledged)),
            refused=tuple((envelopes[r.index].entry, r.reason[:200]) for r in answer.refused if r.index < len(envelopes)),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


_WRONG_SERVER = "is this the URL of a tinyfleet cloud?"


def _covers(stored: _Range, envelope: Envelope) -> bool:
    identity = envelope.identity
    return (
        stored.device_id == identity.device_id.hex() and stored.boot_id == identity.boot_id and stored.first <= identity.seq <= stored.last
    )


def _retry_after_s(response: httpx.Response) -> float | None:
    """``Retry-After`` in seconds; None when absent or a date."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), RETRY_AFTER_LIMIT_S) if text.isascii() and text.isdigit() else None
