"""Ends windows when nothing comes after them: sleeps until the first of them is due, and for ever while none is open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.edge.edge import Edge
from tinyfleet.gateway.outbox import Outbox
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet_codegen.errors import TinyfleetError

log = logging.getLogger(__name__)

RETRY_FIRST_S = 1.0
RETRY_LIMIT_S = 60.0


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


class WindowCloser:
    """What a window holds goes out also when its device is idle, has restarted, or is gone.

    Args:
        store: Where windows are kept.
        edge: The edge of today's configuration.
        on_closed: Called when there is something to deliver.
        wait: Waits for an event, for so many seconds at most (None: for ever).

    Attributes:
        looks: How often it has looked.
    """

    def __init__(
        self,
        store: StoreThread,
        edge: Callable[[], Edge],
        on_closed: Callable[[], None],
        *,
        wait: Callable[[asyncio.Event, float | None], Awaitable[None]] = _wait,
    ) -> None:
        self._store = store
        self._edge = edge
        self._on_closed = on_closed
        self._wait = wait
        self._sleeps = False
        self._has_opened = False
        self._news = asyncio.Event()
        self.looks = 0

    def committed(self) -> None:
        """A window may have been opened. While another one is waited for it is not the first that is due."""
        self._has_opened = True
        if self._sleeps and self._edge().has_windows:
            self._news.set()

    def reconfigured(self) -> None:
        """Windows may be due earlier."""
        self._news.set()

    async def run(self) -> None:
        """Close what is due until cancelled."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
        while True:
            self._news.clear()
            self._has_opened = False
            edge = self._edge()
            self.looks += 1

            def close(outbox: Outbox, edge: Edge = edge) -> tuple[int, float | None]:
                return outbox.edges.close(edge.close, edge.idle_s), outbox.edges.due_s(edge.idle_s)

            try:
                closed, due_s = await self._store.call(close)
                backoff.reset()
                if closed:
                    self._on_closed()
            except TinyfleetError as error:
                log.warning("windows not closed error=%s", error)
                due_s = backoff.next_s()
            if due_s is None and self._has_opened and edge.has_windows:
                continue  # opened while it looked
            self._sleeps = due_s is None
            await self._wait(self._news, due_s)
            self._sleeps = False
