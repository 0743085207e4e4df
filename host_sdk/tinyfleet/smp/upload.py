"""Sending a file to a device in chunks: what broke off goes on, what got lost is sent again, and the link is measured on the way.

::

    report = await upload(client, data, make_chunk, offset_of=lambda reply: reply.off, window=buf_count)
    print(report.kib_per_s, report.why)

A device takes a chunk only at the offset that it wants next, and answers each with that offset. So several chunks may be under way: what
comes after a lost one changes nothing, and its answer says where to go on. A device that restarted wants byte 0, and says in its
answer to the first chunk how far it had kept the file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic

from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.message import Asks, ReplyT
from tinyfleet_codegen.errors import LinkLost, LinkTimeout, ProtocolError, RecordLost, SessionLost

log = logging.getLogger(__name__)

FIRST_OVERHEAD_BYTES = 64
"""What the first request holds beside data, more than the others: length, hash and what else begins an upload."""
TRIAL_CHUNKS = 6
"""Chunks after which a window's rate is known."""
BURST_S = 0.5
"""Time after which others get their turn on the link."""
LEAST_GAIN = 1.05
"""A larger window must be faster by this to be kept."""
MOST_FAILURES = 6
"""Chunks in a row without a good answer that end an upload; each is half as long as the one before, which gets through more easily."""
LEAST_CHUNK_BYTES = 64
MOST_BEGINS = 2
"""The same of the first chunk; each is sent twice."""
MOST_LOSSES = 10
"""Lost connections in a row that do; each was made anew before the next."""
MOST_RESTARTS = 3
"""Restarts of the device that one upload bears."""
MOST_STALLS = 20
"""Answers in a row that ask for nothing further on than before; after a lost chunk it is one or two."""
MOST_IDLE = 10_000
"""Replies in a row that the device is busy, after which it is stuck: a delta copies 16 KiB before each."""


Progress = Callable[[int, int], None]
ChunkMaker = Callable[[int, bytes, bool], Asks[ReplyT]]


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
        restarts: How often the device restarted meanwhile; it goes on near where it was.
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
    restarts: int
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
    chunk: ChunkMaker[ReplyT],
    *,
    offset_of: Callable[[ReplyT], int],
    is_busy: Callable[[ReplyT], bool] = lambda _: False,
    window: int,
    progress: Progress | None = None,
) -> UploadReport:
    """Send a file.

    Args:
        client: The device.
        data: The file, not empty.
        chunk: Makes the request for data at an offset; with True the one that begins the upload, with all that names it.
        offset_of: Takes the wanted offset from a reply.
        is_busy: Whether a reply says that the device has work to do before it takes more; then it is asked again with no data.
        window: Most requests under way, ``buf_count`` of the device.
        progress: Called with bytes held by the device, and their total.

    Raises:
        DeviceError: the device refused; the first chunk tells most of it.
        LinkTimeout, RecordLost: six times in a row there was no answer, or a damaged one.
        LinkLost: ten connections in a row were lost before a chunk was answered.
        ProtocolError: it restarted again and again, or its answers make no sense.
        LinkClosed, AccessError: see :class:`DeviceClient`.
    """
    transfer = _Transfer(client, data, chunk, offset_of, is_busy, window, progress)
    started = time.monotonic()
    await transfer.begin()
    resumed_at = 0 if transfer.position <= transfer.sent else transfer.position
    while transfer.position < len(data):
        await transfer.burst()
    seconds = time.monotonic() - started
    moved = len(data) - resumed_at
    return UploadReport(
        file_bytes=len(data),
        sent_bytes=transfer.sent,
        resumed_at=resumed_at,
        chunk_bytes=transfer.whole,
        window=transfer.windows.window,
        seconds=seconds,
        kib_per_s=moved / 1024 / seconds if moved else 0.0,
        lost_chunks=transfer.lost,
        restarts=transfer.restarts,
        why=transfer.windows.why(transfer.whole),
    )


class _Transfer(Generic[ReplyT]):
    """A file on its way: where the device is, and what happened until now."""

    def __init__(
        self,
        client: DeviceClient,
        data: bytes,
        chunk: ChunkMaker[ReplyT],
        offset_of: Callable[[ReplyT], int],
        is_busy: Callable[[ReplyT], bool],
        window: int,
        progress: Progress | None,
    ) -> None:
        self._progress = progress
        self._client = client
        self._data = data
        self._chunk = chunk
        self._offset_of = offset_of
        self._is_busy = is_busy
        self.whole = client.payload_bytes
        self.windows = _Windows(min(window, client.most_under_way))
        self.position = self.sent = self.lost = self.restarts = 0
        self._failures = self._losses = self._idle = 0
        self._furthest = self._stalls = 0

    @property
    def step(self) -> int:
        """Most bytes of the next chunk."""
        return max(LEAST_CHUNK_BYTES, self.whole >> self._failures)

    async def begin(self) -> None:
        """Send the first chunk, alone: its answer says whether the file is welcome, and where to go on."""
        first = self._data[: self.whole - FIRST_OVERHEAD_BYTES]
        for attempt in range(1, MOST_BEGINS + 1):
            try:
                reply = await self._client.ask(self._chunk(0, first, True), repeatable=True)
                break
            except (LinkTimeout, RecordLost):
                if attempt == MOST_BEGINS:
                    raise
        self.sent += len(first)
        self._take(reply)
        if self.position == 0:
            raise ProtocolError(f"the device took nothing of the first {len(first)} bytes")
        self._furthest = self.position  # a restart may set it back

    async def burst(self) -> None:
        """Send chunks until others should have their turn on the link, one is lost, or the device has something else to do."""
        begun, at = time.monotonic(), self.position
        ends: list[int] = []
        has_restarted = is_whole = False
        window = 1 if self._failures else self.windows.window
        try:
            async with aclosing(self._client.ask_in_turn(self._chunks(ends, begun, window), window)) as replies:
                async for reply in replies:
                    expected = ends.pop(0)
                    self._failures = self._losses = 0
                    self._take(reply)
                    has_restarted = self.position == 0
                    if self.position != expected or self._idle:
                        self.lost += not self._idle
                        log.info("upload offset=%d expected=%d", self.position, expected)
                        break
                else:
                    is_whole = True
        except LinkLost:
            self.lost += 1
            self._losses += 1
            if self._losses == MOST_LOSSES:
                raise
        except (LinkTimeout, RecordLost):
            self.lost += 1
            self._failures += 1
            if self._failures == MOST_FAILURES:
                raise
        except SessionLost:
            has_restarted = True
        moved = self.position - at
        self.sent += max(0, moved)
        if not self.windows.is_settled and is_whole and window == self.windows.window and moved > self.whole * window:
            self.windows.measured(moved / (time.monotonic() - begun))
        if has_restarted:
            self.restarts += 1
            if self.restarts > MOST_RESTARTS:
                raise ProtocolError(
                    f"the device restarted {self.restarts} times during one upload", hint="tinyfleet device crash may say why"
                )
            await self.begin()
            log.info("device restarted, upload goes on offset=%d", self.position)

    def _take(self, reply: ReplyT) -> None:
        wanted = self._offset_of(reply)
        self._idle = self._idle + 1 if self._is_busy(reply) else 0
        self._stalls = 0 if wanted > self._furthest or self._idle else self._stalls + 1
        if wanted > len(self._data) or self._idle > MOST_IDLE or self._stalls > MOST_STALLS:
            raise ProtocolError(
                f"the device wants byte {wanted} of {len(self._data)}, asked {max(self._idle, self._stalls)} times without progress"
            )
        self.position = wanted
        self._furthest = max(self._furthest, wanted)
        if self._progress is not None:
            self._progress(wanted, len(self._data))

    def _chunks(self, ends: list[int], begun: float, window: int) -> Iterator[Asks[ReplyT]]:
        """The next requests; ``ends`` gets the offset after each when it is sent."""
        if self._idle:
            ends.append(self.position)
            yield self._chunk(self.position, b"", False)
            return
        step = self.step
        for number, off in enumerate(range(self.position, len(self._data), step)):
            # Never fewer than fill the window once more: else it would not be measured.
            is_enough = number >= TRIAL_CHUNKS if not self.windows.is_settled else False
            if number > window and (is_enough or time.monotonic() - begun > BURST_S):
                return
            piece = self._data[off : off + step]
            ends.append(off + len(piece))
            yield self._chunk(off, piece, False)
