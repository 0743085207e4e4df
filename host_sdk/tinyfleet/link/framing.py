"""SMP console framing: messages as base64 lines that may lie between lines of log text.

The lines are packed and unpacked by ``smp.packet``; here is what a real stream needs around that: pieces of any
size, text between and inside messages, and damage, after which the next good message is found again.
"""

from __future__ import annotations

import binascii
import logging
import struct
from collections.abc import Callable, Generator

from smp import packet
from smp.exceptions import SMPException

log = logging.getLogger(__name__)

LINE_BYTES = 128
"""Longest line that we send, its end included: the convention that servers size their line buffers by."""
MAX_LINE_BYTES = 4096
"""Longest line that we keep while waiting for its end; more without one is noise."""


def encode_message(message: bytes) -> bytes:
    """The lines that carry one SMP message."""
    return b"".join(packet.encode(message, line_length=LINE_BYTES))


class FrameDecoder:
    """Finds messages in a byte stream.

    Args:
        on_text: Called with each line that belongs to no message, its end left out; None: they are logged at DEBUG.
    """

    def __init__(self, on_text: Callable[[bytes], None] | None = None) -> None:
        self._on_text = on_text or _log_text
        self._line = bytearray()
        self._unpacking: Generator[None, bytes, bytes] | None = None
        self.dropped_frames = 0
        """Messages that began but were damaged."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; returns the messages that they complete, oldest first."""
        messages = []
        *complete, rest = (bytes(self._line) + data).split(packet.END_DELIMITER)
        for line in complete:
            message = self._take_line(line)
            if message is not None:
                messages.append(message)
        self._line = bytearray(rest if len(rest) <= MAX_LINE_BYTES else b"")
        return messages

    def _take_line(self, line: bytes) -> bytes | None:
        start = line.rfind(packet.START_DELIMITER)
        if start >= 0:
            # A start ends whatever came before it: log text without a line end, or a message that broke off.
            self._take_text(line[:start])
            self._drop_unfinished()
            self._unpacking = packet.decode()
            next(self._unpacking)
            return self._unpack(line[start:])
        if self._unpacking is not None and line.startswith(packet.CONTINUE_DELIMITER):
            return self._unpack(line)
        self._take_text(line)
        return None

    def _take_text(self, line: bytes) -> None:
        if line.strip():
            self._on_text(line.rstrip(b"\r"))

    def _unpack(self, line: bytes) -> bytes | None:
        assert self._unpacking is not None
        try:
            self._unpacking.send(line.rstrip(b"\r") + packet.END_DELIMITER)
        except StopIteration as done:
            self._unpacking = None
            return bytes(done.value)
        except (SMPException, binascii.Error, struct.error) as error:
            log.debug("frame dropped error=%r", error)
            self._drop_unfinished()
        return None

    def _drop_unfinished(self) -> None:
        if self._unpacking is not None:
            self._unpacking = None
            self.dropped_frames += 1


def _log_text(line: bytes) -> None:
    log.debug("console text=%r", line)
