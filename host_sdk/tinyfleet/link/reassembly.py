"""Messages without framing, as BLE carries them: each comes in pieces and is as long as its own header says."""

from __future__ import annotations

import logging

from smp.header import Header

from tinyfleet_codegen.wire.ble import MESSAGE_GAP_S

log = logging.getLogger(__name__)

_IS_OURS = {(op, version) for op in (0, 1, 2, 3) for version in (0, 1)}


class Reassembly:
    """Puts messages together from the pieces in which they arrive, in order.

    Pieces carry no marks. So what has lost one is told by time, or by what follows not being a header.
    """

    def __init__(self) -> None:
        self._message = bytearray()
        self._last_s = 0.0
        self.dropped_frames = 0
        """Messages that began and were not finished, or bytes that were none."""

    def feed(self, piece: bytes, now_s: float) -> list[bytes]:
        """Take the next piece; returns the messages that it completes, oldest first.

        Args:
            piece: As it arrived.
            now_s: When, on a clock that only rises.
        """
        if self._message and now_s - self._last_s > MESSAGE_GAP_S:
            self._drop("no piece came for too long")
        self._last_s = now_s
        self._message += piece
        messages = []
        while len(self._message) >= Header.SIZE:
            if not _is_header(self._message):
                rest = piece if len(piece) < len(self._message) else b""
                self._drop("no header")
                self._message += rest  # what came before was at fault, perhaps
                continue
            end = Header.SIZE + int.from_bytes(self._message[2:4], "big")
            if len(self._message) < end:
                break
            messages.append(bytes(self._message[:end]))
            del self._message[:end]
        return messages

    def _drop(self, why: str) -> None:
        log.debug("message dropped bytes=%d why=%s", len(self._message), why)
        self._message.clear()
        self.dropped_frames += 1


def _is_header(data: bytearray) -> bool:
    """Whether a message may begin so: a known operation and version, reserved bits and flags zero."""
    return (data[0] & 0b111, data[0] >> 3) in _IS_OURS and data[1] == 0
