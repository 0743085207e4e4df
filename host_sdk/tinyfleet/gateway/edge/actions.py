"""Does what rules want done, with or without a cloud: at least once, in order per target, and never holding up a device.

What is to be done waits in the outbox's database (:class:`tinyfleet.gateway.outbox_actions.ActionQueue`). Each target has a task of its
own, which sleeps while nothing waits.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.edge.targets import Target, TargetRefuses
from tinyfleet.gateway.outbox import Outbox
from tinyfleet.gateway.outbox_actions import Action
from tinyfleet.gateway.sinks.sink import RetryLater
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet_codegen.errors import SinkError, StoreFull, TinyfleetError

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.25
RETRY_LIMIT_S = 30.0
T = TypeVar("T")

BATCH = 16
"""Actions that are read at a time."""


class Actions:
    """Acts for the rules of one configuration.

    Args:
        gateway_id: Named in each action.
        targets: By name, and for how many seconds each attempt may last; closed by :meth:`stop`.
        store: Where actions wait.
        on_alarm: Called when one was given up or dropped: there is an alarm to deliver.

    Attributes:
        errors: Why the last attempt failed, by target; None: it did not.
    """

    def __init__(
        self, gateway_id: str, targets: Mapping[str, tuple[Target, float]], store: StoreThread, on_alarm: Callable[[], None]
    ) -> None:
        self._gateway_id = gateway_id
        self._targets = targets
        self._store = store
        self._on_alarm = on_alarm
        self._work = {name: asyncio.Event() for name in targets}
        self._tasks: list[asyncio.Task[None]] = []
        self.errors: dict[str, str | None] = dict.fromkeys(targets)

    def start(self) -> None:
        """Begin, with what waits from before."""
        self._tasks = [asyncio.create_task(self._serve(name), name=f"actions {name}") for name in self._targets]

    def wake(self, names: Iterable[str]) -> None:
        """There is something to do for these."""
        for name in names:
            if name in self._work:
                self._work[name].set()

    async def stop(self) -> None:
        """End; what was under way is done again by who starts next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for target, _ in self._targets.values():
            await target.close()

    async def _serve(self, name: str) -> None:
        backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
        while True:
            self._work[name].clear()
            try:
                waiting = await self._look(lambda outbox: outbox.actions.next(name, BATCH))
                if not waiting:
                    await self._work[name].wait()
                for action in waiting:
                    await self._act(name, action)
                    backoff.reset()
            except RetryLater as wait:
                self._note(name, wait)
                await asyncio.sleep(wait.seconds)
            except TinyfleetError as error:
                self._note(name, error)
                await asyncio.sleep(backoff.next_s())
            except Exception as error:
                # The outermost loop of this task: it must go on, whatever one action does.
                log.exception("acting failed target=%s", name)
                self._note(name, error)
                await asyncio.sleep(backoff.next_s())

    def _note(self, name: str, error: Exception) -> None:
        if self.errors[name] is None:
            log.warning("action failed, tried again target=%s error=%s", name, error)
        self.errors[name] = str(error)

    async def _act(self, name: str, action: Action) -> None:
        target, timeout_s = self._targets[name]
        try:
            async with asyncio.timeout(timeout_s):
                await target.act(action.key, self._text(action))
        except TimeoutError as error:
            raise SinkError(f"no answer within {timeout_s:g} s", retryable=True) from error
        except TargetRefuses as refusal:
            reason = str(refusal)
            await self._look(lambda outbox: outbox.actions.give_up(action.id, reason))
            self.errors[name] = reason
            return
        self.errors[name] = None
        await self._book(action.id)

    async def _book(self, action_id: int) -> None:
        """It is done; who has it is not told again because a disk is full."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
        while True:
            try:
                return await self._store.call(lambda outbox: outbox.actions.done(action_id))
            except StoreFull as error:
                log.warning("action not booked, tried again error=%s", error)
                await asyncio.sleep(backoff.next_s())

    async def _look(self, work: Callable[[Outbox], T]) -> T:
        """A call after which there may be an alarm."""

        def watched(outbox: Outbox) -> tuple[T, bool]:
            before = outbox.actions.alarms
            return work(outbox), outbox.actions.alarms != before

        value, is_news = await self._store.call(watched)
        if is_news:
            self._on_alarm()
        return value

    def _text(self, action: Action) -> bytes:
        return json.dumps(
            {
                "version": 1, "key": action.key, "gateway_id": self._gateway_id, "device_id": action.device_id.hex(),
                "boot_id": action.boot_id, "seq": action.seq,
                "time_utc_us": action.time_utc_us, "time_error_us": action.time_error_us, **action.body,
            }
        ).encode()  # fmt: skip
