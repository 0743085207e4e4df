"""One gateway process: a puller per device, a sender per sink, one outbox."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from tinyfleet.data_dir import held_data_dir
from tinyfleet.database import sync_folder
from tinyfleet.gateway.config import DeviceSettings, GatewayConfig
from tinyfleet.gateway.edge import Edge, Visibility, capture, check_state
from tinyfleet.gateway.edge.actions import Actions
from tinyfleet.gateway.edge.closing import WindowCloser
from tinyfleet.gateway.edge.targets import Target, open_targets
from tinyfleet.gateway.outbox import OUTBOX_FILE, NewDerived, Outbox, SinkPlace, WhenFull, inspect_outbox
from tinyfleet.gateway.outbox_schema import ALARM, ALARM_PRIORITY
from tinyfleet.gateway.puller import DeviceOpener, Puller
from tinyfleet.gateway.seal import KeySource, key_from_file, key_from_tpm
from tinyfleet.gateway.sender import Sender
from tinyfleet.gateway.sinks.sink import Sink, SinkContext
from tinyfleet.gateway.status import DeviceStatus, GatewayStatus, SinkStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.gateway.watch import Watch
from tinyfleet.telemetry import Envelope
from tinyfleet_codegen.errors import ConfigError, StoreDamaged, StoreError, TinyfleetError

log = logging.getLogger(__name__)

STATUS_INTERVAL_S = 1.0
FINISH_S = 3.0
"""How long a delivery that has begun may take when the gateway is asked to stop."""
CLOSE_S = 2.0
"""How long a sink may take to say goodbye."""


_Targets = dict[str, tuple[Target, float]]


@dataclass(frozen=True, slots=True)
class _Sending:
    sink: Sink
    sender: Sender
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class _Pulling:
    settings: DeviceSettings
    status: DeviceStatus
    task: asyncio.Task[None]


class Gateway:
    """The relay of one configuration.

    Args:
        config: A validated configuration.
        opener: How devices are opened: :func:`tinyfleet.device.open_device`.
        reread: Reads the configuration again for :meth:`reload`; None: it cannot change.

    Attributes:
        metrics_url: Where metrics are; None: nowhere, or not yet.
    """

    def __init__(self, config: GatewayConfig, opener: DeviceOpener, *, reread: Callable[[], GatewayConfig] | None = None) -> None:
        self.metrics_url: str | None = None
        self._config = config
        self._opener = opener
        self._reread = reread
        self._news = asyncio.Event()
        self._is_stopping = False
        self._is_reloading = False
        self._damage: StoreDamaged | None = None
        self._failure: BaseException | None = None
        self._status = GatewayStatus(config.gateway.id)
        self._sendings: dict[str, _Sending] = {}
        self._pullings: dict[str, _Pulling] = {}
        self._claims: dict[bytes, str] = {}
        self._edge = open_edge(config)
        self._actions: Actions | None = None
        self._closer: WindowCloser | None = None

    def stop(self) -> None:
        """Ask :meth:`run` to end; from the loop's thread, for example in a signal handler."""
        self._is_stopping = True
        self._news.set()

    def reload(self) -> None:
        """Read the configuration again; from the loop's thread. A wrong one changes nothing, and is one error in the log."""
        self._is_reloading = True
        self._news.set()

    async def run(self, on_ready: Callable[[], None] | None = None) -> None:
        """Relay until :meth:`stop`.

        Args:
            on_ready: Called when the outbox is open and every device is being tried.

        Raises:
            ConfigError: a secret cannot be had.
            SetupError: a sink needs a package that is not installed.
            StoreError: the data folder or the outbox cannot be used, or another gateway uses it.
        """
        data_dir = self._config.data_dir
        with held_data_dir(data_dir, what="gateway"):
            writing = self._watched_task(_write_status(self._status, data_dir), "status")
            try:
                while not self._is_stopping:
                    await self._relay(on_ready)
                    on_ready = None
            finally:
                await _cancel([writing])
                self._status.is_stopped = True
                with contextlib.suppress(OSError):
                    self._status.write(data_dir)
                log.info("gateway stopped id=%s", self._config.gateway.id)
        if self._failure is not None:
            raise self._failure

    def _watched_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task that runs for ever; one that ends by a bug ends the gateway, which is better started again than half alive."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.critical("the gateway ends task=%s", name, exc_info=error)
                self._failure = error
                self.stop()

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        return task

    async def _relay(self, on_ready: Callable[[], None] | None) -> None:
        """Relay until asked to stop, or until the outbox is damaged."""
        loop = asyncio.get_running_loop()

        def on_damage(error: StoreDamaged) -> None:
            loop.call_soon_threadsafe(self._on_damage, error)

        outbox = open_outbox(self._config, damage=self._damage)
        self._damage = None
        store = StoreThread(outbox, on_damage)
        self._closer = WindowCloser(store, lambda: self._edge, self._wake)
        closing = self._watched_task(self._closer.run(), "windows")
        try:
            targets = self._open_targets(self._config, outbox)
            await self._start_sinks(self._config, await self._open_sinks(self._config, outbox), store)
            self._start_actions(targets, store)
            await self._start_devices(self._config, store)
            log.info("gateway started id=%s devices=%d sinks=%s", self._config.gateway.id, len(self._pullings), ",".join(self._sendings))
            async with self._watched(store):
                if on_ready is not None:
                    on_ready()
                while not self._is_stopping and self._damage is None:
                    await self._news.wait()
                    self._news.clear()
                    if self._is_reloading:
                        self._is_reloading = False
                        await self._reload(outbox, store)
        finally:
            await _cancel([closing])
            await self._stop_devices(set(self._pullings))
            await self._stop_actions()
            await self._stop_sinks()
            await asyncio.to_thread(store.close)

    @contextlib.asynccontextmanager
    async def _watched(self, store: StoreThread) -> AsyncIterator[None]:
        """Answer who watches, if the configuration says so; :attr:`metrics_url` says where."""
        settings = self._config.gateway
        if settings.metrics_port is None:
            yield
            return
        # Started anew after damage to the outbox: on the port that it had.
        port = settings.metrics_port if self.metrics_url is None else int(self.metrics_url.rpartition(":")[2])
        async with Watch(self._status, lambda: self._config, store).serve(settings.metrics_host, port) as self.metrics_url:
            log.info("metrics url=%s/metrics", self.metrics_url)
            yield

    def _on_damage(self, error: StoreDamaged) -> None:
        if self._damage is None:
            log.error("outbox damaged error=%s", error)
        self._damage = error
        self._news.set()

    async def _reload(self, outbox: Outbox, store: StoreThread) -> None:
        """Take over a changed configuration. What is in the outbox stays; a device whose table is the same is not disturbed."""
        if self._reread is None:
            return
        sinks: dict[str, Sink] = {}
        targets: _Targets = {}
        try:
            config = self._reread()
            _refuse_fixed(self._config, config)
            edge = open_edge(config)
            sinks = await self._open_sinks(config, outbox)
            targets = self._open_targets(config, outbox)
            await self._stop_sinks()
            await self._stop_actions()
            await store.call(lambda o: o.configure(sink_places(config), targets=target_ages(config), **_bounds(config)))
        except TinyfleetError as error:
            log.error("configuration not reloaded, the old one goes on error=%s hint=%s", error, error.hint or "-")
            await _close([*sinks.values(), *(target for target, _ in targets.values())])
            if not self._sendings:
                await self._start_sinks(self._config, await self._open_sinks(self._config, outbox), store)
            if self._actions is None:
                self._start_actions(self._open_targets(self._config, outbox), store)
            return
        is_same_edge = _edge_tables(config) == _edge_tables(self._config)
        self._config, self._edge = config, edge
        await self._start_sinks(config, sinks, store)
        self._start_actions(targets, store)
        tables = {d.url: d for d in config.device}
        changed = {url for url, pulling in self._pullings.items() if not is_same_edge or tables.get(url) != pulling.settings}
        await self._stop_devices(changed)
        await self._start_devices(config, store)
        if self._closer is not None:
            self._closer.reconfigured()
        log.info("configuration reloaded devices=%d sinks=%s", len(self._pullings), ",".join(self._sendings))

    def _context(self, config: GatewayConfig, outbox: Outbox) -> SinkContext:
        async def history(device_id: bytes, first_utc_us: int, last_utc_us: int, limit: int) -> list[Envelope]:
            return await asyncio.to_thread(outbox.history, device_id, first_utc_us, last_utc_us, limit)

        async def devices() -> list[bytes]:
            _, boots = await asyncio.to_thread(inspect_outbox, outbox.path)
            return sorted({boot.device_id for boot in boots})

        return SinkContext(config.gateway.id, outbox.outbox_id, config.folder, history, devices)

    async def _open_sinks(self, config: GatewayConfig, outbox: Outbox) -> dict[str, Sink]:
        sinks = await _opened(config, self._context(config, outbox))
        return {settings.label: sink for settings, sink in zip(config.sink, sinks, strict=True)}

    def _open_targets(self, config: GatewayConfig, outbox: Outbox) -> _Targets:
        context = self._context(config, outbox)
        return {name: (t, rule.timeout_s) for rule in config.rule for name, t in open_targets(rule, config.gateway.id, context).items()}

    def _start_actions(self, targets: _Targets, store: StoreThread) -> None:
        self._actions = Actions(self._config.gateway.id, targets, store, self._wake)
        self._status.actions = self._actions.errors
        self._actions.start()

    async def _stop_actions(self) -> None:
        if self._actions is not None:
            await self._actions.stop()
            self._actions = None

    def _act(self, names: Iterable[str]) -> None:
        if self._actions is not None:
            self._actions.wake(names)

    async def _start_sinks(self, config: GatewayConfig, sinks: dict[str, Sink], store: StoreThread) -> None:
        self._status.sinks.clear()
        for settings in config.sink:
            status = SinkStatus(settings.label, sinks[settings.label].name)
            sender = Sender(
                settings.label,
                sinks[settings.label],
                store,
                status,
                batch_records=settings.batch_records,
                retry_max_s=settings.retry_max_s,
            )
            self._status.sinks.append(status)
            task = asyncio.create_task(sender.run(), name=f"sender {settings.label}")
            self._sendings[settings.label] = _Sending(sinks[settings.label], sender, task)

    async def _stop_sinks(self) -> None:
        """End every delivery that is under way, one way or the other."""
        for sending in self._sendings.values():
            sending.sender.stop()
        if self._sendings:
            await asyncio.wait([s.task for s in self._sendings.values()], timeout=FINISH_S)
        await _cancel([s.task for s in self._sendings.values()])
        sinks = [sending.sink for sending in self._sendings.values()]
        self._sendings.clear()
        await _close(sinks)

    def _committed(self) -> None:
        self._wake()
        if self._closer is not None:
            self._closer.committed()

    def _wake(self) -> None:
        for sending in self._sendings.values():
            sending.sender.wake()

    async def _start_devices(self, config: GatewayConfig, store: StoreThread) -> None:
        for settings in config.device:
            if settings.url not in self._pullings:
                status = DeviceStatus(settings.url, round_trips=self._status.round_trips, inferences=self._status.inferences)
                puller = Puller(
                    settings, opener=self._opener, store=store, on_commit=self._committed, claims=self._claims, status=status,
                    edge=self._edge, on_action=self._act,
                    capture=config.capture if capture.is_on(config.capture, config.policy) else None,
                )  # fmt: skip
                task = asyncio.create_task(puller.run(), name=f"puller {settings.url}")
                self._pullings[settings.url] = _Pulling(settings, status, task)
        self._status.devices[:] = [self._pullings[d.url].status for d in config.device]

    async def _stop_devices(self, urls: set[str]) -> None:
        await _cancel([self._pullings.pop(url).task for url in urls])


def _edge_tables(config: GatewayConfig) -> tuple[object, ...]:
    return config.filter, config.window, config.capture, config.policy, config.rule


def open_edge(config: GatewayConfig) -> Edge:
    """The edge that a configuration asks for.

    Raises:
        SetupError: a package that it needs is not installed.
    """
    return Edge(filter=config.filter, window=config.window, policy=config.policy, rules=config.rule)


def describe_edge(config: GatewayConfig) -> list[str]:
    """What becomes of records, and what may not leave this gateway, a line each."""
    lines = []
    lets_out = config.policy.lets_records_out()
    if config.filter is not None:
        given = ", ".join(f"{key} {_plain(value)}" for key, value in config.filter.model_dump(exclude_defaults=True).items())
        lines.append(f"records that pass the filter ({given or 'every one'}) are {'delivered' if lets_out else 'not delivered either'}")
    elif config.window is None or not lets_out:
        lines.append("every record is delivered" if lets_out else "no record is delivered")
    if config.window is not None:
        lines.append(
            f"{'the others' if config.filter is not None and lets_out else 'records'} are summed up, {config.window.seconds:g} s at a time"
        )
    elif config.filter is not None or not lets_out:
        lines.append("the others are counted as filtered" if lets_out else "all are counted as filtered")
    if config.capture is not None:
        budget = f"{config.capture.budget_bytes_per_day} bytes a day of each device"
        wanted = config.capture.model_dump(exclude_none=True, exclude={"budget_bytes_per_day"})
        of = " or ".join(f"{key} {_plain(value)}" for key, value in wanted.items())
        is_on = capture.is_on(config.capture, config.policy)
        lines.append(
            f"windows of records with {of} are fetched, {budget}" if is_on else "no window is fetched: [policy] keeps what is in it"
        )
    stays = [name for name, value in config.policy if value is Visibility.NEVER]
    summed = [name for name, value in config.policy if value is Visibility.SUMMARY]
    if stays:
        lines.append(f"never leaves this gateway: {', '.join(stays)}")
    if summed:
        lines.append(f"leaves only in sums: {', '.join(summed)}")
    lines += [f"rule {r.name}: {r.count} within {r.within_s:g} s, {r.does()}" for r in config.rule]
    return lines


def _plain(value: object) -> str:
    return "/".join(str(v) for v in value) if isinstance(value, tuple) else str(value)


def open_outbox(config: GatewayConfig, *, damage: StoreDamaged | None = None) -> Outbox:
    """Open the outbox that a configuration names; its folder exists.

    A damaged one is put aside, a new one is started, and an alarm goes upstream in it.

    Args:
        config: The configuration.
        damage: Why the outbox that is there must not be used any more; None: it is opened.

    Raises:
        StoreError: the outbox cannot be used.
    """
    path = config.data_dir / OUTBOX_FILE

    def opened() -> Outbox:
        return Outbox(
            path, gateway_id=config.gateway.id, sinks=sink_places(config), targets=target_ages(config), key=_key(config),
            check_edge=check_state, **_bounds(config),
        )  # fmt: skip

    if damage is None:
        try:
            return opened()
        except StoreDamaged as error:
            damage = error
    aside = quarantine(path)
    log.error("outbox damaged, put aside, a new one is started folder=%s error=%s", aside, damage)
    outbox = opened()
    body = json.dumps({"reason": "outbox damaged", "detail": str(damage), "kept_in": aside.name}).encode()
    outbox.add([NewDerived(ALARM, body, time_utc_us=time.time_ns() // 1000, priority=ALARM_PRIORITY)])
    return outbox


def _key(config: GatewayConfig) -> Callable[[bool], bytes] | None:
    """Where the key of the outbox comes from."""
    settings = config.outbox
    if settings.encrypt is KeySource.TPM2:
        return lambda must_exist: key_from_tpm(config.data_dir, tcti=settings.tpm_tcti, must_exist=must_exist)
    if settings.key_file is not None:
        path = config.folder / settings.key_file
        return lambda must_exist: key_from_file(path, must_exist=must_exist)
    return None


def quarantine(path: Path) -> Path:
    """Move a database with all that belongs to it into a new folder beside it, which is returned.

    Raises:
        StoreError: it cannot be moved.
    """
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}")).exists():
        number += 1
    try:
        aside.mkdir(mode=0o700)
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside / part.name)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot put {path} aside: {error.strerror}", hint=f"move it and its -wal away from {path.parent}") from error
    return aside


def sink_places(config: GatewayConfig) -> list[SinkPlace]:
    """The sinks of a configuration as its outbox knows them."""
    return [SinkPlace(s.label, s.holds, s.region) for s in config.sink]


def target_ages(config: GatewayConfig) -> dict[str, int]:
    """Who acts for the rules of a configuration, and for how many seconds that makes sense."""
    return {name: rule.max_age_s for rule in config.rule for name in rule.targets()}


class _Bounds(TypedDict):
    max_bytes: int
    max_age_s: int | None
    when_full: WhenFull


def _bounds(config: GatewayConfig) -> _Bounds:
    return {"max_bytes": config.outbox.max_bytes, "max_age_s": config.outbox.max_age_s, "when_full": config.outbox.when_full}


def _refuse_fixed(old: GatewayConfig, new: GatewayConfig) -> None:
    """What belongs to the outbox's file cannot change under it.

    Raises:
        ConfigError: it has changed.
    """
    for key, was, value in (
        ("gateway.id", old.gateway.id, new.gateway.id),
        ("gateway.data_dir", old.data_dir, new.data_dir),
        ("gateway.metrics_port", old.gateway.metrics_port, new.gateway.metrics_port),
    ):
        if was != value:
            raise ConfigError(f"{key} = {str(value)!r}: was {str(was)!r} when the gateway started", hint="restart the gateway to change it")


async def check_sinks(config: GatewayConfig) -> None:
    """Open every sink and target and close it again: secrets and keys are read, nobody is contacted.

    Raises:
        ConfigError: a secret or key cannot be had.
        SetupError: a sink needs a package that is not installed.
    """
    context = SinkContext(config.gateway.id, bytes(16), config.folder, _no_history)
    await _close(await _opened(config, context))
    for rule in config.rule:
        await _close(open_targets(rule, config.gateway.id, context).values())


def describe_sinks(config: GatewayConfig) -> list[str]:
    """One line a sink: what it is, what it gets, and what may not leave by it."""
    lines = []
    for sink in config.sink:
        kept = "kept until it has it" if sink.holds else "not kept for it"
        barred = [d.url for d in config.device if d.region not in (None, sink.region)]
        gets = "everything" if not barred else f"nothing of {', '.join(barred)} (region)"
        lines.append(f"{sink.label}: {sink.describe()}; {sink.delivery}, {kept}; gets {gets}")
    return lines


async def _no_history(_device_id: bytes, _first_utc_us: int, _last_utc_us: int, _limit: int) -> list[Envelope]:
    return []


async def _write_status(status: GatewayStatus, data_dir: Path) -> None:
    failed = False
    while True:
        try:
            status.write(data_dir)
            failed = False
        except OSError as error:
            if not failed:
                log.warning("cannot write the status file: %s", error)
            failed = True
        await asyncio.sleep(STATUS_INTERVAL_S)


async def _opened(config: GatewayConfig, context: SinkContext) -> list[Sink]:
    """Every sink, or none: when one cannot be opened the others are closed again."""
    sinks: list[Sink] = []
    try:
        for settings in config.sink:
            sinks.append(settings.open(context))
    except BaseException:
        await _close(sinks)
        raise
    return sinks


async def _close(ends: Iterable[Sink | Target]) -> None:
    """Close all at once; one that fails or hangs keeps nobody else from it."""
    closing = {asyncio.create_task(end.close(), name=f"close {type(end).__name__}") for end in ends}
    if not closing:
        return
    done, hanging = await asyncio.wait(closing, timeout=CLOSE_S)
    for task in hanging:
        log.warning("given up task=%s: not done within %g s", task.get_name(), CLOSE_S)
        task.cancel()
    for task in done:
        if (error := task.exception()) is not None:
            log.error("failed task=%s", task.get_name(), exc_info=error)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
