"""The one thread that touches the outbox, so that a slow disk never stops the event loop.

Calls that wait while the disk is busy are committed together: with many devices the disk sets the pace, and each of its writes takes all
that has come meanwhile. One call that waits alone is committed at once.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tinyfleet.gateway.outbox import Outbox
from tinyfleet_codegen.errors import StoreDamaged, StoreError

T = TypeVar("T")

GROUP_CALLS = 64
"""Calls in one commit, at most."""


@dataclass(slots=True)
class _Call:
    work: Callable[[Outbox], Any]
    is_alone: bool
    answer: Future[Any] = field(default_factory=Future)

    def run(self, outbox: Outbox) -> None:
        """Make the call and answer it."""
        try:
            value = self.work(outbox)
        except BaseException as error:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(value)


class StoreThread:
    """Runs calls on an outbox, one after the other and in their order.

    Args:
        outbox: Not to be used by others from now on.
        on_damage: Called in the thread when the database turns out to be damaged.
    """

    def __init__(self, outbox: Outbox, on_damage: Callable[[StoreDamaged], None] = lambda _: None) -> None:
        self._outbox = outbox
        self._on_damage = on_damage
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="outbox", daemon=True)
        self._thread.start()

    async def call(self, work: Callable[[Outbox], T]) -> T:
        """Run ``work`` and wait until what it did is on the disk. Cancelling the wait does not stop a commit that has begun.

        ``work`` may be run a second time, after all that it did was undone.
        """
        value: T = await self._wait(_Call(work, is_alone=False))
        return value

    async def call_alone(self, work: Callable[[Outbox], T]) -> T:
        """The same for work that cannot be part of a transaction."""
        value: T = await self._wait(_Call(work, is_alone=True))
        return value

    async def _wait(self, call: _Call) -> Any:
        self._calls.put(call)
        return await asyncio.wrap_future(call.answer)

    def close(self) -> None:
        """Let what has begun end, then close the outbox; calls that wait are cancelled."""
        self._calls.put(None)
        self._thread.join()
        while not self._calls.empty():
            if (call := self._calls.get()) is not None:
                call.answer.cancel()
        self._outbox.close()

    def _serve(self) -> None:
        while (first := self._calls.get()) is not None:
            calls: list[_Call | None] = [first]
            while len(calls) < GROUP_CALLS and not self._calls.empty():
                calls.append(self._calls.get())
            is_last = None in calls
            self._run([call for call in calls if call is not None and call.answer.set_running_or_notify_cancel()])
            if is_last:
                return

    def _run(self, calls: list[_Call]) -> None:
        while calls:
            together = 0
            while together < len(calls) and not calls[together].is_alone:
                together += 1
            if together > 1:
                self._run_together(calls[:together])
            else:
                together = 1
                calls[0].run(self._outbox)
            for call in calls[:together]:
                if isinstance(error := call.answer.exception(), StoreDamaged):
                    self._on_damage(error)
            calls = calls[together:]

    def _run_together(self, calls: list[_Call]) -> None:
        results: list[tuple[Any, BaseException | None]] = []
        try:
            with self._outbox.group():
                for call in calls:
                    try:
                        results.append((call.work(self._outbox), None))
                    except Exception as error:
                        results.append((None, error))
        except StoreDamaged as error:
            results = [(None, error)] * len(calls)
        except StoreError:
            # What the disk did not take together it may take in part: an acknowledgement makes room.
            for call in calls:
                call.run(self._outbox)
            return
        for call, (value, failure) in zip(calls, results, strict=True):
            if failure is None:
                call.answer.set_result(value)
            else:
                call.answer.set_exception(failure)
