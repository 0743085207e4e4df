"""Bodies of deliveries as a gateway would send them."""

from __future__ import annotations

import base64
from typing import Any

from tests.gateway.fake_board import FakeBoard

DEVICE = b"\x11" * 16
OUTBOX, OTHER_OUTBOX = "aa" * 16, "bb" * 16
MODEL = "cd" * 32


def record(seq: int, *, salt: int = 0) -> bytes:
    """The bytes of one record of one board."""
    board = FakeBoard(DEVICE)
    board.produce(seq + 1, salt=salt)
    return board.history[1, seq]


def message(seq: int, /, *, salt: int = 0, entry: int | None = None, data: bytes | None = None, **changes: Any) -> dict[str, Any]:
    """The record in its envelope."""
    whole = {
        "entry": seq + 1 if entry is None else entry,
        "device_id": DEVICE.hex(),
        "boot_id": 1,
        "seq": seq,
        "time_utc": "2026-01-31T12:00:00.000001Z",
        "time_error_us": 900,
        "model_id": MODEL,
        "record": base64.b64encode(data or record(seq, salt=salt)).decode(),
    }
    return whole | changes


def batch(*records: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One delivery."""
    return {"version": 1, "gateway_id": "gw", "outbox_id": OUTBOX, "records": list(records)} | changes
