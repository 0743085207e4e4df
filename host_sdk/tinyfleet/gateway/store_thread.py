"""The one thread that touches the outbox, so that a slow disk never stops the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tinyfleet.gateway.outbox import Outbox

T = TypeVar("T")


class StoreThread:
    """Runs calls on an outbox one after the other.

    Args:
        outbox: Not to be used by others from now on.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")

    async def call(self, work: Callable[[Outbox], T]) -> T:
        """Run ``work`` in the thread and wait for it. Cancelling the wait does not stop a commit that has begun."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._outbox)

    def close(self) -> None:
        """Let the calls that have begun end, then close the outbox."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._outbox.close()
