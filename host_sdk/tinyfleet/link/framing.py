"""SMP console framing: messages as base64 lines that may lie between lines of log text.

The lines are packed by ``smp.packet``; here is what a real stream needs to unpack them: pieces of any size, text between and
inside messages, and damage, after which the next good message is found again. A frame is a length, the message and a CRC; all three
must fit exactly, since the CRC alone does not notice its own first byte behind a message that grew by one.
"""

from __future__ import annotations

import binascii
import logging
from collections.abc import Callable

from smp import packet

log = logging.getLogger(__name__)

LINE_BYTES = 128
"""Longest line that we send, its end included: the convention that servers size their line buffers by."""
DELIMITER_BYTES, LENGTH_BYTES, CRC_BYTES = 2, 2, 2
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
        self._frame: bytearray | None = None  # decoded so far of the frame that has begun
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
            self._frame = bytearray()
            return self._unpack(line[start:])
        if self._frame is not None and line.startswith(packet.CONTINUE_DELIMITER):
            return self._unpack(line)
        self._take_text(line)
        return None

    def _take_text(self, line: bytes) -> None:
        if line.strip():
            self._on_text(line.rstrip(b"\r"))

    def _unpack(self, line: bytes) -> bytes | None:
        """Take a line of the frame that has begun; its message when it is complete."""
        assert self._frame is not None
        try:
            self._frame += binascii.a2b_base64(line.rstrip(b"\r")[DELIMITER_BYTES:], strict_mode=True)
        except binascii.Error as error:
            log.debug("frame dropped error=%r", error)
            self._drop_unfinished()
            return None
        # The length counts message and CRC, not itself.
        wanted = LENGTH_BYTES + int.from_bytes(self._frame[:LENGTH_BYTES], "big")
        if len(self._frame) < max(wanted, LENGTH_BYTES):
            return None
        content = bytes(self._frame[LENGTH_BYTES:])
        if len(self._frame) > wanted or len(content) <= CRC_BYTES or binascii.crc_hqx(content, 0) != 0:
            log.debug("frame dropped bytes=%d wanted=%d", len(self._frame), wanted)
            self._drop_unfinished()
            return None
        self._frame = None
        return content[:-CRC_BYTES]

    def _drop_unfinished(self) -> None:
        if self._frame is not None:
            self._frame = None
            self.dropped_frames += 1


def _log_text(line: bytes) -> None:
    log.debug("console text=%r", line)
