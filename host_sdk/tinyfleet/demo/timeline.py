"""What happened when, while the records travelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

SAMPLE_INTERVAL_S = 0.1


@dataclass(slots=True)
class Timeline:
    """Depth of the outbox over time, and events; times are seconds since it was made."""

    started_s: float = field(default_factory=time.monotonic)
    depths: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)

    def now_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_s

    def mark(self, event: str) -> None:
        """Note an event."""
        self.events.append((round(self.now_s(), 2), event))

    async def sample(self, depth: Callable[[], int]) -> None:
        """Note the depth, which may have to be asked for, until cancelled."""
        while True:
            depth_now = await asyncio.to_thread(depth)
            self.depths.append((round(self.now_s(), 2), depth_now))
            await asyncio.sleep(SAMPLE_INTERVAL_S)
