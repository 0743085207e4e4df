"""Sending a file to a device in chunks: what broke off goes on, what got lost is sent again, and the link is measured on the way.

::

    report = await upload(client, data, lambda off, chunk: requests.ImageUploadRequest(off=off, data=chunk, ...))
    print(report.kib_per_s, report.why)

A device takes a chunk only at the offset that it wants next, and answers each with that offset. So several chunks may be under way: what
comes after a lost one changes nothing, and its answer says where to go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.message import Asks, ReplyT
from tinyfleet_codegen.errors import LinkLost, LinkTimeout, ProtocolError

log = logging.getLogger(__name__)

FIRST_OVERHEAD_BYTES = 64
"""What the first request holds beside data, more than the others: length, hash and what else begins an upload."""
TRIAL_CHUNKS = 6
"""Chunks after which a window's rate is known."""
BURST_CHUNKS = 32
"""Chunks after which others get their turn on the link."""
LEAST_GAIN = 1.05
"""A larger window must be faster by this to be kept."""
MOST_TIMEOUTS = 3
"""Timeouts in a row that end an upload."""
MOST_LOSSES = 10
"""Lost connections in a row that do; each was made anew before the next."""


Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class UploadReport:
    """How an upload went.

    Attributes:
        file_bytes: Size of the file.
        sent_bytes: Of it, those that were sent: fewer when the device had some already, more when some got lost.
        resumed_at: Where it went on; the size of the file when it was there already.
        chunk_bytes: Most data in a request.
        window: Requests that were under way at once, in the end.
        seconds: Wall time of the transfer.
        kib_per_s: Of data; 0 when nothing was sent.
        lost_chunks: Chunks that were sent again.
        why: How chunk and window were chosen.
    """

    file_bytes: int
    sent_bytes: int
    resumed_at: int
    chunk_bytes: int
    window: int
    seconds: float
    kib_per_s: float
    lost_chunks: int
    why: str


class _Windows:
    """Tries windows from 1 up, and keeps the one that moves most bytes a second."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rates: list[float] = []
        self.window = 1
        self.is_settled = most == 1

    def measured(self, bytes_per_s: float) -> None:
        """The rate of the window that was just tried."""
        best = max(self._rates, default=0.0)
        self._rates.append(bytes_per_s)
        if bytes_per_s < LEAST_GAIN * best:
            self.window, self.is_settled = self._rates.index(best) + 1, True
        elif len(self._rates) == self._most:
            self.is_settled = True
        else:
            self.window = len(self._rates) + 1

    def why(self, chunk_bytes: int) -> str:
        """For people."""
        chosen = f"{chunk_bytes} bytes fill the board's frame"
        if self._most == 1:
            return f"{chosen}; it takes one at a time"
        if not self._rates:
            return f"{chosen}; too short to measure a window"
        tried = ", ".join(f"{index} under way {rate / 1024:.1f} KiB/s" for index, rate in enumerate(self._rates, 1))
        return f"{chosen}; measured with {tried}; the board takes {self._most}"


async def upload(
    client: DeviceClient,
    data: bytes,
    chunk: Callable[[int, bytes], Asks[ReplyT]],
    *,
    offset_of: Callable[[ReplyT], int],
    window: int,
    progress: Progress | None = None,
) -> UploadReport:
    """Send a file.

    Args:
        client: The device.
        data: The file, not empty.
        chunk: Makes the request for data at an offset; at offset 0 the one that begins the upload.
        offset_of: Takes the wanted offset from a reply.
        window: Most requests under way, ``buf_count`` of the device.
        progress: Called with bytes held by the device, and their total.

    Raises:
        DeviceError: the device refused; the first chunk tells most of it.
        LinkTimeout: three times in a row there was no answer.
        LinkLost: ten connections in a row were lost before a chunk was answered.
        LinkClosed, ProtocolError: see :class:`DeviceClient`.
    """
    step = client.payload_bytes
    windows = _Windows(min(window, client.most_under_way))
    started = time.monotonic()
    # Alone: it says whether the file is welcome, and where to begin.
    first = data[: step - FIRST_OVERHEAD_BYTES]
    position = offset_of(await client.ask(chunk(0, first), repeatable=True))
    resumed_at = 0 if position <= len(first) else position
    sent, lost, failures = len(first), 0, 0
    while position < len(data):
        if progress is not None:
            progress(position, len(data))
        count = BURST_CHUNKS if windows.is_settled else TRIAL_CHUNKS
        begun, at = time.monotonic(), position
        ends: list[int] = []
        try:
            async for reply in client.ask_in_turn(_chunks(data, position, step, count, chunk, ends), windows.window):
                wanted, expected = offset_of(reply), ends.pop(0)
                failures = 0
                if wanted > len(data):
                    raise ProtocolError(f"the device wants byte {wanted} of {len(data)}")
                position = wanted
                if wanted != expected:
                    lost += 1
                    log.info("upload goes back wanted=%d expected=%d", wanted, expected)
                    break
        except (LinkTimeout, LinkLost) as error:
            failures += 1
            lost += 1
            if failures == (MOST_LOSSES if isinstance(error, LinkLost) else MOST_TIMEOUTS):
                raise
        sent += max(0, position - at)
        if not windows.is_settled and position - at == count * step:
            windows.measured((position - at) / (time.monotonic() - begun))
        if position == 0:
            raise ProtocolError("the device forgot the upload: it restarted", hint="push again")
    seconds = time.monotonic() - started
    if progress is not None:
        progress(len(data), len(data))
    moved = len(data) - resumed_at
    return UploadReport(
        file_bytes=len(data),
        sent_bytes=sent,
        resumed_at=resumed_at,
        chunk_bytes=step,
        window=windows.window,
        seconds=seconds,
        kib_per_s=moved / 1024 / seconds if moved else 0.0,
        lost_chunks=lost,
        why=windows.why(step),
    )


def _chunks(
    data: bytes, start: int, step: int, count: int, chunk: Callable[[int, bytes], Asks[ReplyT]], ends: list[int]
) -> Iterator[Asks[ReplyT]]:
    """The next requests; ``ends`` gets the offset after each when it is sent."""
    for off in range(start, min(len(data), start + count * step), step):
        piece = data[off : off + step]
        ends.append(off + len(piece))
        yield chunk(off, piece)
