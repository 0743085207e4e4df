"""A tinyfleet cloud's answer to a batch of events: what it has committed, and what it will never take."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from tinyfleet.gateway.sinks.sink import Delivered
from tinyfleet.telemetry import TELEMETRY_VERSION, DerivedEnvelope, Envelope
from tinyfleet_codegen.errors import SinkError

REASON_LIMIT = 200


class _Range(BaseModel):
    """Entries first .. last (both included) of one outbox are stored, as far as they were offered."""

    outbox_id: str
    first: int
    last: int


class _Refusal(BaseModel):
    index: Annotated[int, Field(ge=0)]
    reason: str


class _Answer(BaseModel):
    version: int
    acknowledged: list[_Range]
    refused: list[_Refusal] = []


def read_answer(content: bytes, envelopes: Sequence[Envelope | DerivedEnvelope], *, whose: str) -> Delivered:
    """What an answer says about the envelopes of one batch, which came first in it and in this order.

    Raises:
        SinkError: it is not such an answer, or of a newer version.
    """
    try:
        answer = _Answer.model_validate_json(content)
    except ValidationError as error:
        text = content[:REASON_LIMIT].decode(errors="replace")
        raise SinkError(
            f"{whose} answered without an acknowledgement: {text}", retryable=True, hint="is a tinyfleet cloud at the other end?"
        ) from error
    if answer.version != TELEMETRY_VERSION:
        raise SinkError(f"{whose} answers in version {answer.version}, this gateway reads {TELEMETRY_VERSION}", retryable=True)
    stored = sorted((r.outbox_id, r.first, r.last) for r in answer.acknowledged)
    return Delivered(
        accepted=frozenset(e.entry for e in envelopes if _is_in(stored, e.outbox_id.hex(), e.entry)),
        refused=tuple((envelopes[r.index].entry, r.reason[:REASON_LIMIT]) for r in answer.refused if r.index < len(envelopes)),
    )


def _is_in(ranges: Sequence[tuple[str, int, int]], outbox_id: str, entry: int) -> bool:
    """Whether one of the sorted ranges holds the entry."""
    at = bisect.bisect_right(ranges, (outbox_id, entry, 2**63)) - 1
    return at >= 0 and ranges[at][0] == outbox_id and entry <= ranges[at][2]
