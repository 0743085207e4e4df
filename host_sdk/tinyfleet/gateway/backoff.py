"""Pauses between attempts: each about twice the one before, up to a limit, and never the same for two gateways."""

from __future__ import annotations

import random


class Backoff:
    """Pauses for one thing that is tried again and again.

    Args:
        first_s: Upper end of the first pause.
        limit_s: Upper end of the longest pause.
    """

    def __init__(self, first_s: float, limit_s: float) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._failures = 0

    def reset(self) -> None:
        """It worked; the next pause is a first one again."""
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait now: between half and all of the current step."""
        step = min(self._limit_s, self._first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return step * random.uniform(0.5, 1.0)
