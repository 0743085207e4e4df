"""One puller per device: connects, pulls, commits, and starts again when anything fails.

Nothing here waits for another device: each puller is a task of its own and every request has a deadline.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from tinyfleet.device import Device, Hello, Results
from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.clock import ClockSample, DeviceClock
from tinyfleet.gateway.config import DeviceSettings
from tinyfleet.gateway.edge import CaptureSettings, Edge, Processed
from tinyfleet.gateway.edge.capture import WindowFetcher, wanted_windows
from tinyfleet.gateway.outbox import CursorMoved, Outbox, OutboxFull, PulledRecord, WantedWindow
from tinyfleet.gateway.outbox_actions import COMMAND
from tinyfleet.gateway.proxy import shared
from tinyfleet.gateway.status import DeviceStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet_codegen.errors import DeviceError, ProtocolError, TinyfleetError
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.record import Record, decode_record

log = logging.getLogger(__name__)

CLOCK_INTERVAL_S = 10.0
"""Age at which the mapping to UTC is measured again."""
RECONNECT_FIRST_S = 0.25
RECONNECT_LIMIT_S = 15.0
COMMANDS = 8
"""Commands that are read at a time."""


class DeviceOpener(Protocol):
    """What :func:`tinyfleet.device.open_device` is."""

    def __call__(self, url: str, *, timeout_s: float = ...) -> AbstractAsyncContextManager[Device]: ...


@dataclass(slots=True)
class _Boot:
    """What is known of the boot that the device is in."""

    device_id: bytes
    boot_id: int
    clock: DeviceClock
    models: dict[int, bytes] = field(default_factory=dict)
    dtypes: dict[int, DType] = field(default_factory=dict)
    edge_state: bytes | None = None
    clock_taken_s: float = 0.0
    commands_due_s: float | None = 0.0
    command_backoff: Backoff = field(default_factory=lambda: Backoff(RECONNECT_FIRST_S, RECONNECT_LIMIT_S))


class Puller:
    """Pulls one device for ever.

    Args:
        settings: The device's table in the configuration.
        opener: Opens the device.
        store: Where records are committed.
        on_commit: Called after each commit that left something to deliver.
        claims: device_id -> URL of the port that serves it; shared by all pullers.
        status: Kept up to date.
        edge: Decides what becomes of records; None: all are delivered.
        on_action: Called with the names of targets when rules act, after that is committed.
        capture: Of which records windows are fetched; None: of none.
    """

    def __init__(
        self,
        settings: DeviceSettings,
        *,
        opener: DeviceOpener,
        store: StoreThread,
        on_commit: Callable[[], None],
        claims: dict[bytes, str],
        status: DeviceStatus,
        edge: Edge | None = None,
        on_action: Callable[[Iterable[str]], None] = lambda _names: None,
        capture: CaptureSettings | None = None,
    ) -> None:
        self._capture = capture
        self._windows = WindowFetcher(capture, store=store, region=settings.region, on_commit=on_commit)
        self._edge = edge or Edge()
        self._on_action = on_action
        self._settings = settings
        self._opener = opener
        self._store = store
        self._on_commit = on_commit
        self._claims = claims
        self._status = status
        self._backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_LIMIT_S)

    async def run(self) -> None:
        """Pull until cancelled."""
        url = self._settings.url
        while True:
            try:
                async with self._opener(url, timeout_s=self._settings.timeout_s) as device, shared(device):
                    await self._session(device)
            except (TinyfleetError, OSError) as error:
                log.warning("device failed url=%s error=%s", url, error)
                self._status.last_error = str(error)
            except Exception as error:
                # The outermost loop of this task: a bug with one device must not stop the others.
                log.exception("puller failed url=%s", url)
                self._status.last_error = f"{type(error).__name__}: {error}"
            finally:
                self._status.state = "waiting"
                self._release_claims()
            self._status.failures += 1
            await asyncio.sleep(self._backoff.next_s())

    def _release_claims(self) -> None:
        for device_id in [d for d, owner in self._claims.items() if owner == self._settings.url]:
            del self._claims[device_id]

    async def _session(self, device: Device) -> None:
        boot = await self._identify(device)
        log.info("device connected url=%s device=%s boot=%d", self._settings.url, boot.device_id.hex(), boot.boot_id)
        since = await self._cursor(boot)
        while True:
            asked_s = time.monotonic()
            results = await device.results(since, self._settings.max_records)
            self._status.rtt_s = time.monotonic() - asked_s
            self._status.round_trips.observe(self._status.rtt_s)
            if (results.device_id, results.boot_id) != (boot.device_id, boot.boot_id):
                log.info("device restarted url=%s boot=%d was=%d", self._settings.url, results.boot_id, boot.boot_id)
                boot = await self._identify(device)
                if (results.device_id, results.boot_id) != (boot.device_id, boot.boot_id):
                    raise ProtocolError(f"{self._settings.url} names boot {boot.boot_id} in hello and {results.boot_id} in results")
                since = await self._cursor(boot)
                continue
            if results.next < since:
                # Only a device whose boot counter was set back gets here. Taking all it has lets the cloud see the clash.
                log.warning("device went back url=%s boot=%d next=%d cursor=%d", self._settings.url, boot.boot_id, results.next, since)
                self._status.rewinds += 1
                await self._commit(boot, Processed([], [], 0, None), since=since, next_seq=0, lost=0)
                since = 0
                continue
            records = check_results(results, since)
            if records or results.lost:
                pulled = await self._envelop(device, boot, records, results)
                processed = self._edge.process(boot.edge_state, pulled, records, boot.dtypes)
                wanted = [] if self._capture is None else wanted_windows(self._capture, pulled, records, boot.dtypes)
                if not await self._commit(boot, processed, since=since, next_seq=results.next, lost=results.lost, wanted=wanted):
                    since = await self._cursor(boot)
                    continue
                since = results.next
                self._windows.want(wanted)
            await self._obey(device, boot)
            self._status.state = "connected"
            self._status.last_pull_s = time.time()
            self._backoff.reset()
            if self._windows.is_waiting:
                await self._windows.step(device)
            elif not records:
                await asyncio.sleep(self._settings.poll_s)

    async def _obey(self, device: Device, boot: _Boot) -> None:
        """Tell the device what rules want of it: again until it says yes or no, as long as this boot lasts.

        Never in the way of pulling: a device that says nothing is asked again later.
        """
        if boot.commands_due_s is None or time.monotonic() < boot.commands_due_s:
            return
        boot.commands_due_s = None
        while commands := await self._store.call(lambda o: o.actions.next_commands(boot.device_id, boot.boot_id, COMMANDS)):
            for command in commands:
                rule = self._edge.rule(command.target)
                assert rule is not None and rule.sample_period_ms is not None
                try:
                    await device.sample(rule.sample_period_ms)
                except DeviceError as error:
                    reason = f"the device refuses: {error}"
                    await self._store.call(lambda o, c=command, r=reason: o.actions.give_up(c.id, r))  # type: ignore[misc]
                    self._on_commit()
                except TinyfleetError as error:
                    boot.commands_due_s = time.monotonic() + boot.command_backoff.next_s()
                    log.warning("command failed, tried again target=%s url=%s error=%s", command.target, self._settings.url, error)
                    return
                else:
                    boot.command_backoff.reset()
                    await self._store.call(lambda o, c=command: o.actions.done(c.id))  # type: ignore[misc]

    async def _identify(self, device: Device) -> _Boot:
        """Ask who answers, on which boot, at what time, with which model."""
        hello, sample = await ask_who_and_when(device)
        url = self._settings.url
        if not any(hello.device_id):
            raise ProtocolError(
                f"{url}: the board has no identity and makes no records", hint="give it one; `tinyfleet emulate` does so by itself"
            )
        owner = self._claims.setdefault(hello.device_id, url)
        if owner != url:
            raise ProtocolError(
                f"{url}: device {hello.device_id.hex()} already answers on {owner}",
                hint="two boards with one identity, or one board on two ports",
            )
        boot = _Boot(hello.device_id, hello.boot_id, DeviceClock(self._settings.clock_drift_ppm), clock_taken_s=time.monotonic())
        boot.clock.add(sample)
        status = self._status
        status.device_id, status.boot_id, status.board, status.app = hello.device_id, hello.boot_id, hello.board, hello.app
        await self._learn_model(device, boot)
        return boot

    async def _learn_model(self, device: Device, boot: _Boot) -> None:
        info = await device.model_info()
        boot.models[info.generation] = info.model_id
        boot.dtypes[info.generation] = info.output_dtype
        self._status.model_id, self._status.model_name = info.model_id, info.name

    async def _envelop(self, device: Device, boot: _Boot, records: list[Record], results: Results) -> list[PulledRecord]:
        """Add time and model to what was pulled."""
        if time.monotonic() - boot.clock_taken_s > CLOCK_INTERVAL_S:
            hello, sample = await ask_who_and_when(device)
            if hello.boot_id == boot.boot_id:
                boot.clock.add(sample)
                boot.clock_taken_s = time.monotonic()
        if any(r.model_generation not in boot.models for r in records):
            await self._learn_model(device, boot)
        pulled = []
        for record, data in zip(records, results.records, strict=True):
            self._status.inferences.observe(record.latency_us * 1e-6)
            self._status.raw_bytes += len(data)
            moment = boot.clock.to_utc(record.uptime_us)
            time_utc_us, time_error_us = moment if moment is not None else (None, None)
            pulled.append(PulledRecord(record.seq, data, time_utc_us, time_error_us, boot.models.get(record.model_generation)))
        return pulled

    async def _cursor(self, boot: _Boot) -> int:
        """The cursor; and what the edge remembers."""

        def read(outbox: Outbox) -> tuple[int, bytes | None]:
            return outbox.cursor(boot.device_id, boot.boot_id), outbox.edges.of(boot.device_id, boot.boot_id)

        cursor, boot.edge_state = await self._store.call(read)
        await self._windows.begin(boot.device_id, boot.boot_id)
        return cursor

    async def _commit(
        self, boot: _Boot, made: Processed, *, since: int, next_seq: int, lost: int, wanted: Sequence[WantedWindow] = ()
    ) -> bool:
        """Put what was made of records, and the cursor, into the outbox; False when the cursor must be read again."""
        try:
            dropped = await self._store.call(
                lambda outbox: outbox.append(
                    boot.device_id,
                    boot.boot_id,
                    made.records,
                    since=since,
                    next_seq=next_seq,
                    lost=lost,
                    region=self._settings.region,
                    filtered=made.filtered,
                    derived=made.derived,
                    edge=made.change,
                    wanted=wanted,
                )
            )
        except CursorMoved:
            return False
        except OutboxFull:
            self._status.state = "outbox full"
            await asyncio.sleep(self._settings.poll_s)
            return False
        if lost:
            log.warning("device lost records url=%s boot=%d from=%d count=%d", self._settings.url, boot.boot_id, since, lost)
        if dropped:
            log.warning("outbox full, oldest dropped count=%d", dropped)
        if made.change is not None:
            boot.edge_state = made.change.after
        self._status.pulled += next_seq - since - lost if next_seq > since else 0
        self._status.lost += lost
        self._status.queued_bytes += sum(len(r.record) for r in made.records) + sum(len(d.body) for d in made.derived)
        self._on_commit()
        if made.targets:
            self._on_action(made.targets)
            if boot.commands_due_s is None and any(name.endswith(f"/{COMMAND}") for name in made.targets):
                boot.commands_due_s = 0.0
        return True


def check_results(results: Results, since: int) -> list[Record]:
    """Decode a reply and check that nothing is missing in it.

    Raises:
        ProtocolError: a record does not decode, is of another boot, or the sequence has a hole that ``lost`` does not explain.
    """
    records = [decode_record(data) for data in results.records]
    expected = since + results.lost
    for record in records:
        if (record.boot_id, record.seq) != (results.boot_id, expected):
            raise ProtocolError(f"record {record.boot_id}/{record.seq} where {results.boot_id}/{expected} should be")
        expected += 1
    if results.next != expected:
        raise ProtocolError(f"results end at {expected} but name {results.next} as next")
    return records


async def ask_who_and_when(device: Device) -> tuple[Hello, ClockSample]:
    """Ask a device who it is, and pair its time with this host's.

    A process that is stopped between any two of these lines has a larger error to state, and states it.
    """
    before_s = time.monotonic()
    begin_us = time.time_ns() // 1000
    hello = await device.hello()
    half_us = max(1, round((time.monotonic() - before_s) * 5e5))
    return hello, ClockSample(uptime_us=hello.uptime_us, utc_us=begin_us + half_us, error_us=half_us)
