"""Drains the outbox into a sink: one batch at a time, removed only when the sink has it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.sinks.sink import BatchTooLarge, RetryLater, Sink
from tinyfleet.gateway.status import SinkStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.telemetry import Batch
from tinyfleet_codegen.errors import SinkError, StoreError, TinyfleetError

log = logging.getLogger(__name__)

BATCH_BYTES = 256 * 1024
"""Record bytes in one delivery, at most."""
RETRY_FIRST_S = 0.25
CHOKES = 3
"""A record that a sink cannot even be given, so many times in a row, is put aside: those behind it must not wait for ever."""


class Sender:
    """Delivers one outbox to one sink.

    Args:
        name: The sink's place in the outbox.
        sink: The other end.
        store: The outbox.
        status: Kept up to date.
        batch_records: Records in one delivery, at most.
        retry_max_s: Longest pause between two attempts.
    """

    def __init__(self, name: str, sink: Sink, store: StoreThread, status: SinkStatus, *, batch_records: int, retry_max_s: float) -> None:
        self._name = name
        self._sink = sink
        self._store = store
        self._status = status
        self._batch_records = batch_records
        self._limit = batch_records
        self._chokes = 0
        self._backoff = Backoff(min(RETRY_FIRST_S, retry_max_s), retry_max_s)
        self._work = asyncio.Event()
        self._stop = asyncio.Event()

    def wake(self) -> None:
        """There is something to deliver."""
        self._work.set()

    def stop(self) -> None:
        """End after the delivery that is under way."""
        self._stop.set()
        self._work.set()

    async def run(self) -> None:
        """Deliver until :meth:`stop`."""
        while not self._stop.is_set():
            self._work.clear()
            pause_s: float | None = None
            try:
                if not await self._deliver_once():
                    self._status.state = "idle"
                    await self._work.wait()
                    continue
            except RetryLater as wait:
                pause_s = wait.seconds
                self._note(wait)
            except (SinkError, StoreError) as error:
                pause_s = self._backoff.next_s()
                self._note(error)
            except Exception as error:
                # The outermost loop of this task: it must go on, whatever one batch does.
                log.exception("sender failed sink=%s", self._sink.name)
                pause_s = self._backoff.next_s()
                self._note(error)
            if pause_s is not None:
                await self._pause(pause_s)

    def _note(self, error: Exception) -> None:
        self._status.failed(str(error))
        hint = error.hint if isinstance(error, TinyfleetError) and error.hint else "-"
        log.warning("delivery failed sink=%s error=%s hint=%s", self._sink.name, error, hint)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _deliver_once(self) -> bool:
        """Offer the oldest batch; False when there is nothing to deliver."""
        batch = await self._store.call(lambda outbox: outbox.batch(self._name, self._limit, BATCH_BYTES))
        if not batch.envelopes and not batch.reports:
            if self._status.state == "delivering":
                await self._store.call_alone(lambda outbox: outbox.settle())
            return False
        self._status.state = "delivering"
        self._status.attempts += 1
        offered_s = time.monotonic()
        try:
            delivery = await self._sink.deliver(batch)
        except BatchTooLarge:
            await self._shrink_batch(batch)
            return True
        except (SinkError, RetryLater):
            self._chokes = 0
            raise
        except Exception as error:
            await self._isolate(batch, error)
            raise
        self._chokes = 0
        if batch.envelopes and not delivery.accepted and not delivery.refused:
            raise SinkError(f"{self._sink.name} answered, but named none of {len(batch.envelopes)} records", retryable=True)
        await self._store.call(
            lambda outbox: outbox.acknowledge(self._name, delivery.accepted, refused=delivery.refused, reports=batch.reports)
        )
        self._backoff.reset()
        self._limit = min(self._batch_records, self._limit * 2)
        self._status.delivered += len(delivery.accepted)
        self._status.refused += len(delivery.refused)
        self._status.deliveries.observe(time.monotonic() - offered_s)
        self._status.worked()
        for entry, reason in delivery.refused:
            log.error("record refused, kept in the outbox entry=%d reason=%s", entry, reason)
        return True

    async def _isolate(self, batch: Batch, error: Exception) -> None:
        """Not the other end but the sink itself failed: perhaps one record is what it cannot write."""
        if len(batch.envelopes) > 1:
            self._limit = max(1, len(batch.envelopes) // 2)
            return
        self._chokes += 1
        if batch.envelopes and self._chokes >= CHOKES:
            self._chokes = 0
            reason = f"cannot be delivered: {type(error).__name__}: {error}"[:200]
            log.error("record that the sink cannot write, kept in the outbox entry=%d reason=%s", batch.envelopes[0].entry, reason)
            entry = batch.envelopes[0].entry
            await self._store.call(lambda outbox: outbox.acknowledge(self._name, (), refused=[(entry, reason)]))
            self._status.refused += 1

    async def _shrink_batch(self, batch: Batch) -> None:
        """The sink takes less at once than was offered."""
        if len(batch.envelopes) <= 1:
            entries = [(e.entry, "too large for the sink") for e in batch.envelopes]
            log.error("record too large for the sink, kept in the outbox count=%d reports=%d", len(entries), len(batch.reports))
            await self._store.call(lambda outbox: outbox.acknowledge(self._name, (), refused=entries))
            if not entries:
                raise SinkError(f"{self._sink.name} takes not even a loss report", retryable=True)
            return
        self._limit = len(batch.envelopes) // 2
