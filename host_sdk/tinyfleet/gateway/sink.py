"""Where an outbox drains to.

A sink is one file with one class that has these methods; it is chosen by ``type`` in the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tinyfleet.telemetry import Envelope, LossReport


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the other end said about one batch.

    Attributes:
        accepted: Entries that it has now, durably.
        refused: Entries that it will never accept, with its reason.
    """

    accepted: frozenset[int]
    refused: tuple[tuple[int, str], ...]


class RetryLater(Exception):
    """The other end asked to wait this many seconds."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


class BatchTooLarge(Exception):
    """The other end takes less at once; offer fewer records."""


class Sink(Protocol):
    """Delivers batches; at least once, in order."""

    name: str

    async def deliver(self, envelopes: Sequence[Envelope], reports: Sequence[LossReport]) -> Delivery:
        """Offer one batch and wait until the other end has it durably.

        Raises:
            SinkError: nothing is known about the batch; offer it again.
            RetryLater: the same, and when.
            BatchTooLarge: the batch can never be taken as it is.
        """
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...
