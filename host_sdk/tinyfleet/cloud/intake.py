"""Deliveries into the store: batches of CloudEvents, and the first form of a batch, which older gateways send."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from fastapi import HTTPException

from tinyfleet.cloud.messages import MAX_BATCH_RECORDS, BatchMessage
from tinyfleet.cloud.store import CloudStore
from tinyfleet.cloud_events import Encoding, LossEvent, decode_events, read_event
from tinyfleet.telemetry import TELEMETRY_VERSION, DerivedEnvelope, Envelope
from tinyfleet_codegen.errors import ProtocolError

log = logging.getLogger(__name__)

T = TypeVar("T")


class StoreCall(Protocol):
    """Runs work in the one thread that touches the store."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def take_events(
    store: CloudStore, call: StoreCall, body: bytes, encoding: Encoding, gateway_id: str | None
) -> tuple[dict[str, Any], int]:
    """Store a batch; the answer and its HTTP status: 422 when all of it is refused, else 200.

    Args:
        store: Where to.
        call: How to.
        body: The batch.
        encoding: Its encoding.
        gateway_id: The only gateway that may have made the events; None: any.

    Raises:
        HTTPException: the batch cannot be read, or is too long.
        StoreError: the store failed; nothing was stored.
    """
    try:
        events = await asyncio.to_thread(decode_events, body, encoding)
    except ProtocolError as error:
        raise HTTPException(422, str(error)) from error
    if len(events) > MAX_BATCH_RECORDS:
        raise HTTPException(413, f"a batch may have {MAX_BATCH_RECORDS} events")
    items, losses, refused = await asyncio.to_thread(_read_events, events, encoding, gateway_id)
    result = await call(lambda: store.ingest(items, losses, refused=len(refused)))
    if result.alarms or refused:
        log.warning("events clash or are refused gateway=%s alarms=%d refused=%d", gateway_id or "-", result.alarms, len(refused))
    ranges = _entry_ranges(items)
    answer = {"version": TELEMETRY_VERSION, **asdict(result), "acknowledged": ranges, "reports": len(losses), "refused": refused}
    return answer, 422 if refused and not items and not losses else 200


async def take_batch(store: CloudStore, call: StoreCall, batch: BatchMessage) -> tuple[dict[str, Any], int]:
    """Store a batch of the first form; returns as :func:`take_events`.

    Raises:
        StoreError: the store failed; nothing was stored.
    """
    outbox_id = bytes.fromhex(batch.outbox_id)
    envelopes: list[Envelope] = []
    refused: list[dict[str, Any]] = []
    for index, message in enumerate(batch.records):
        try:
            envelopes.append(message.envelope(batch.gateway_id, outbox_id))
        except ProtocolError as error:
            refused.append({"index": index, "reason": str(error)})
    losses = [LossEvent(r.report(), batch.gateway_id, outbox_id) for r in batch.reports]
    result = await call(lambda: store.ingest(envelopes, losses, refused=len(refused)))
    if result.alarms or refused:
        log.warning("records clash or are refused gateway=%s alarms=%d refused=%d", batch.gateway_id, result.alarms, len(refused))
    answer = {"version": TELEMETRY_VERSION, **asdict(result), "acknowledged": _ranges(envelopes), "refused": refused}
    return answer, 422 if refused and not envelopes else 200


def _read_events(
    events: list[Any], encoding: Encoding, gateway_id: str | None
) -> tuple[list[Envelope | DerivedEnvelope], list[LossEvent], list[dict[str, Any]]]:
    """Check the events of a batch, each for itself: ``(items, losses, refused)``.

    Args:
        gateway_id: The only gateway that may have made them; None: any.
    """
    items: list[Envelope | DerivedEnvelope] = []
    losses: list[LossEvent] = []
    refused: list[dict[str, Any]] = []
    for index, event in enumerate(events):
        try:
            item = read_event(event, encoding)
            if gateway_id not in (None, item.gateway_id):
                raise ProtocolError(f"an event of gateway {item.gateway_id} from gateway {gateway_id}")
        except ProtocolError as error:
            refused.append({"index": index, "reason": str(error)[:200]})
        else:
            if isinstance(item, LossEvent):
                losses.append(item)
            else:
                items.append(item)
    return items, losses, refused


def _entry_ranges(items: list[Envelope | DerivedEnvelope]) -> list[dict[str, Any]]:
    """Neighbouring entries of one outbox, named as first .. last."""
    ranges: list[dict[str, Any]] = []
    for outbox, entry in sorted((e.outbox_id.hex(), e.entry) for e in items):
        last = ranges[-1] if ranges else None
        if last and last["outbox_id"] == outbox and entry <= last["last"] + 1:
            last["last"] = entry
        else:
            ranges.append({"outbox_id": outbox, "first": entry, "last": entry})
    return ranges


def _ranges(envelopes: list[Envelope]) -> list[dict[str, Any]]:
    """Neighbouring records of one boot, named as first .. last."""
    ranges: list[dict[str, Any]] = []
    for i in sorted(e.identity for e in envelopes):
        last = ranges[-1] if ranges else None
        if last and (last["device_id"], last["boot_id"]) == (i.device_id.hex(), i.boot_id) and i.seq <= last["last"] + 1:
            last["last"] = i.seq
        else:
            ranges.append({"device_id": i.device_id.hex(), "boot_id": i.boot_id, "first": i.seq, "last": i.seq})
    return ranges
