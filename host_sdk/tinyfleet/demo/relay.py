"""Replay into the board while gateway and cloud run, and are killed: nothing may be lost and nothing doubled.

The order makes the kills hit their moment every time. The cloud has everything and is frozen (SIGSTOP) before a part of the replay begins,
so what queues in the outbox is what it has not seen; it is killed when something does. Then the same once more, and the gateway is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tinyfleet.demo.timeline import Timeline
from tinyfleet.device import Device, Hello, ModelInfo, Stats, open_device
from tinyfleet.link.shared import socket_path
from tinyfleet.train import Recording
from tinyfleet_codegen.errors import TinyfleetError

T = TypeVar("T")

DEVICE_TIMEOUT_S = 20.0
QUEUE_DEADLINE_S = 60.0
"""Longest wait for records to show up in the outbox."""
ARRIVAL_DEADLINE_S = 120.0
"""Longest wait for everything to be in the cloud after the last restart."""
POLL_S = 0.02
PULL_RECORDS = 64


class RelayProcesses(Protocol):
    """The processes that the relay kills and starts."""

    def freeze_cloud(self) -> None:
        """SIGSTOP."""

    def thaw_cloud(self) -> None:
        """SIGCONT."""

    def kill_cloud(self) -> None:
        """SIGKILL."""

    def start_cloud(self) -> None:
        """Start it on the address that it had."""

    def kill_gateway(self) -> None:
        """SIGKILL."""

    def start_gateway(self) -> None:
        """Start it on the configuration that it had."""

    def waiting(self) -> int:
        """Records on their way to the cloud now: in the gateway's outbox, or behind it where it learns nothing of the cloud."""

    def pulled(self) -> int:
        """The next record of the board that the gateway will pull."""

    def stored(self) -> int:
        """Records in the cloud now."""


@dataclass(frozen=True, slots=True)
class RelayResult:
    """What the board said at the end, and how deep the queues were at the kills.

    Attributes:
        on_board: Every record that the board's ring still held.
    """

    hello: Hello
    model_info: ModelInfo
    stats: Stats
    on_board: tuple[bytes, ...]
    cloud_kills: int
    gateway_kills: int
    outbox_depth_at_cloud_kill: int
    undelivered_at_gateway_kill: int


async def relay_with_kills(
    url: str,
    recordings: Sequence[Recording],
    processes: RelayProcesses,
    timeline: Timeline,
    *,
    through_gateway: bool = False,
    on_progress: Callable[[int, int, str], None],
) -> RelayResult:
    """Replay all recordings in three parts, kill the cloud in the second and the gateway in the third.

    Args:
        url: The board, shared with the gateway, which runs already, as the cloud does.
        through_gateway: The gateway alone has the board; it is reached through it.
        on_progress: Called with (samples replayed, samples in all, what happens).

    Raises:
        LinkError: the board failed.
        TinyfleetError: records did not queue up or were not delivered in time.
    """
    total = sum(len(r.samples) for r in recordings)
    done = 0

    def happens(what: str) -> None:
        timeline.mark(what)
        on_progress(done, total, what)

    async def replay(device: Device, part: Sequence[Recording]) -> None:
        nonlocal done
        for recording in part:
            await device.replay(recording.stream, recording.samples)
            done += len(recording.samples)
            on_progress(done, total, f"recording {recording.stream}")

    parts = _in_three(recordings)
    if through_gateway:
        await _until(socket_path(url).exists, "the gateway to hold the board", ARRIVAL_DEADLINE_S)
    async with open_device(url, timeout_s=DEVICE_TIMEOUT_S, own_port=not through_gateway) as device, _sampled(timeline, processes.waiting):
        hello, model_info = await device.hello(), await device.model_info()
        happens("replay begins")
        await replay(device, parts[0])
        await _until(lambda: processes.stored() > 0, "records in the cloud", QUEUE_DEADLINE_S)
        await _until_delivered(device, processes)

        processes.freeze_cloud()
        async with _meanwhile(replay(device, parts[1])):
            depth_at_cloud_kill = await _until(processes.waiting, "records queued for a cloud that hangs", QUEUE_DEADLINE_S)
            await asyncio.to_thread(processes.kill_cloud)
            happens("cloud killed")
        await asyncio.to_thread(processes.start_cloud)
        happens("cloud restarted")
        await _until_delivered(device, processes)

        processes.freeze_cloud()
        async with _meanwhile(replay(device, parts[2])):
            await _until(processes.waiting, "records queued for a cloud that hangs", QUEUE_DEADLINE_S)
            await asyncio.to_thread(processes.kill_gateway)
            undelivered = processes.waiting()
            happens("gateway killed")
            processes.thaw_cloud()
            await asyncio.to_thread(processes.start_gateway)
            happens("gateway restarted")

        await _until_delivered(device, processes)
        happens("all delivered")
        return RelayResult(
            hello=hello,
            model_info=model_info,
            stats=await device.stats(),
            on_board=await _read_ring(device),
            cloud_kills=1,
            gateway_kills=1,
            outbox_depth_at_cloud_kill=depth_at_cloud_kill,
            undelivered_at_gateway_kill=undelivered,
        )


def _in_three(recordings: Sequence[Recording]) -> tuple[Sequence[Recording], ...]:
    third = len(recordings) // 3
    return recordings[:third], recordings[third : 2 * third], recordings[2 * third :]


async def _until_delivered(device: Device, processes: RelayProcesses) -> None:
    """Wait until all that the board has made so far is in the cloud."""
    made = (await device.stats()).records
    what = f"the gateway to pull and deliver all {made} records"
    await _until(lambda: processes.pulled() >= made and not processes.waiting(), what, ARRIVAL_DEADLINE_S)


async def _until(condition: Callable[[], T], what: str, timeout_s: float) -> T:
    """Wait until the condition gives something true, and return that."""
    try:
        async with asyncio.timeout(timeout_s):
            while not (value := await asyncio.to_thread(condition)):  # noqa: ASYNC110 - other processes change it
                await asyncio.sleep(POLL_S)
            return value
    except TimeoutError:
        raise TinyfleetError(f"waited {timeout_s:.0f} s for {what}", hint="the logs of gateway and cloud say what they did") from None


@asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do ``work`` while the block runs; ends when both have, or when one of them fails."""
    task = asyncio.create_task(work)
    try:
        yield
        await task
    except BaseException:
        if task.done() and not task.cancelled() and (cause := task.exception()) is not None:
            raise cause from None  # the block waited in vain because of this
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        raise


@asynccontextmanager
async def _sampled(timeline: Timeline, waiting: Callable[[], int]) -> AsyncIterator[None]:
    sampling = asyncio.create_task(timeline.sample(waiting))
    try:
        yield
    finally:
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling


async def _read_ring(device: Device) -> tuple[bytes, ...]:
    records: list[bytes] = []
    since = 0
    while True:
        results = await device.results(since, PULL_RECORDS)
        if not results.records:
            return tuple(records)
        records += results.records
        since = results.next
