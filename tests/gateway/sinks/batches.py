"""Batches as an outbox would offer them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from tests.cloud.batches import MODEL
from tests.gateway.fake_board import FakeBoard
from tinyfleet.cloud_events import DERIVED_LIMIT_BYTES
from tinyfleet.gateway.edge.capture import MOST_WINDOW_BYTES, capture_body
from tinyfleet.gateway.sinks.sink import SinkContext
from tinyfleet.telemetry import Batch, DerivedEnvelope, Envelope, LossReport, RecordIdentity
from tinyfleet.window import Window
from tinyfleet_codegen.wire.ids import DType

OUTBOX = bytes.fromhex("5a" * 16)
TIME_US = 1_767_225_600_000_000


class Source:
    """Makes records of some boards, with entries that count up.

    Args:
        gateway_id: Whose.
        devices: How many boards take turns.
    """

    def __init__(self, gateway_id: str, devices: int = 1) -> None:
        self.gateway_id = gateway_id
        self.boards = [FakeBoard(bytes([0x40 + n]) * 16) for n in range(devices)]
        self.made: list[Envelope] = []
        self._entry = 0

    def batch(self, count: int, *, derived: int = 0, reports: Sequence[LossReport] = ()) -> Batch:
        """The next records, taking turns between the boards, then derived ones."""
        envelopes: list[Envelope | DerivedEnvelope] = []
        for _ in range(count):
            board = self.boards[self._entry % len(self.boards)]
            board.produce(1)
            seq = board.produced - 1
            self._entry += 1
            envelope = Envelope(
                RecordIdentity(board.device_id, 1, seq),
                board.history[1, seq],
                TIME_US + self._entry * 1000,
                250,
                bytes.fromhex(MODEL),
                self.gateway_id,
                OUTBOX,
                self._entry,
            )
            self.made.append(envelope)
            envelopes.append(envelope)
        for _ in range(derived):
            self._entry += 1
            about = (self.boards[0].device_id, 1, 100, 120, 21, b'{"reason":"test"}', TIME_US, 250, None)
            envelopes.append(DerivedEnvelope("gap", self._entry, *about, self.gateway_id, OUTBOX, self._entry))
        return Batch(self.gateway_id, OUTBOX, tuple(envelopes), tuple(reports))

    def report(self, lost: int) -> LossReport:
        """A loss of the first board."""
        return LossReport(self.boards[0].device_id, 1, lost=lost, dropped=1)


def largest_window(source: Source) -> Batch:
    """A window as large as they may be, alone: so a sender offers what was too large with others."""
    body = capture_body(Window(1, 0, DType.INT16, 3, False, random.Random(5).randbytes(MOST_WINDOW_BYTES)))
    assert 0.95 * DERIVED_LIMIT_BYTES < len(body) <= DERIVED_LIMIT_BYTES
    about = (source.boards[0].device_id, 1, 0, 0, 0, body, TIME_US, 250, None)
    return Batch(source.gateway_id, OUTBOX, (DerivedEnvelope("capture", 1, *about, source.gateway_id, OUTBOX, 1_000_000),))


def entries(batch: Batch) -> frozenset[int]:
    """Every entry of a batch."""
    return frozenset(e.entry for e in batch.envelopes)


async def no_history(_device_id: bytes, _first_utc_us: int, _last_utc_us: int, _limit: int) -> list[Envelope]:
    """An outbox that holds nothing."""
    return []


def context(folder: Path, gateway_id: str) -> SinkContext:
    """What a gateway gives to a sink."""
    return SinkContext(gateway_id, OUTBOX, folder, no_history)
