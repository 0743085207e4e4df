"""One gateway process: a puller per device, one sender per sink, one outbox."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from tinyfleet.data_dir import held_data_dir
from tinyfleet.gateway.config import GatewayConfig
from tinyfleet.gateway.outbox import OUTBOX_FILE, Outbox
from tinyfleet.gateway.puller import DeviceOpener, Puller
from tinyfleet.gateway.sender import Sender
from tinyfleet.gateway.sinks.sink import SinkContext
from tinyfleet.gateway.status import DeviceStatus, GatewayStatus, SinkStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.telemetry import Envelope
from tinyfleet_codegen.errors import ConfigError

log = logging.getLogger(__name__)

STATUS_INTERVAL_S = 1.0
FINISH_S = 3.0
"""How long a delivery that has begun may take when the gateway is asked to stop."""


class Gateway:
    """The relay of one configuration.

    Args:
        config: A validated configuration.
        opener: How devices are opened: :func:`tinyfleet.device.open_device`.
    """

    def __init__(self, config: GatewayConfig, opener: DeviceOpener) -> None:
        self._config = config
        self._opener = opener
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Ask :meth:`run` to end; from the loop's thread, for example in a signal handler."""
        self._stop.set()

    async def run(self, on_ready: Callable[[], None] | None = None) -> None:
        """Relay until :meth:`stop`.

        Args:
            on_ready: Called when the outbox is open and every device is being tried.

        Raises:
            ConfigError: the access token cannot be had.
            StoreError: the data folder or the outbox cannot be used, or another gateway uses it.
        """
        config = self._config
        if len(config.sink) > 1:
            raise ConfigError("one sink in this version", hint="remove the others")
        with held_data_dir(config.data_dir, what="gateway"):
            outbox = open_outbox(config)
            store = StoreThread(outbox)
            settings = config.sink[0]
            sink = settings.open(SinkContext(config.gateway.id, outbox.outbox_id, config.folder, _no_history))
            status = GatewayStatus(config.gateway.id, sinks=[SinkStatus(sink.name)])
            sender = Sender(sink, store, status.sinks[0], batch_records=settings.batch_records, retry_max_s=settings.retry_max_s)
            claims: dict[bytes, str] = {}
            tasks = []
            for device in config.device:
                status.devices.append(DeviceStatus(device.url))
                puller = Puller(device, opener=self._opener, store=store, on_commit=sender.wake, claims=claims, status=status.devices[-1])
                tasks.append(asyncio.create_task(puller.run(), name=f"puller {device.url}"))
            tasks.append(asyncio.create_task(_write_status(status, config.data_dir), name="status"))
            sending = asyncio.create_task(sender.run(), name="sender")
            log.info("gateway started id=%s devices=%d sink=%s", config.gateway.id, len(config.device), sink.name)
            try:
                if on_ready is not None:
                    on_ready()
                await self._stop.wait()
            finally:
                await _cancel(tasks)
                sender.stop()
                await asyncio.wait([sending], timeout=FINISH_S)
                await _cancel([sending])
                await sink.close()
                store.close()
                status.is_stopped = True
                with contextlib.suppress(OSError):
                    status.write(config.data_dir)
                log.info("gateway stopped id=%s", config.gateway.id)


def open_outbox(config: GatewayConfig) -> Outbox:
    """Open the outbox that a configuration names; its folder exists.

    Raises:
        StoreError: the outbox cannot be used.
    """
    return Outbox(
        config.data_dir / OUTBOX_FILE,
        gateway_id=config.gateway.id,
        max_bytes=config.outbox.max_bytes,
        when_full=config.outbox.when_full,
    )


async def check_sinks(config: GatewayConfig) -> None:
    """Open every sink and close it again: secrets and keys are read, nobody is contacted.

    Raises:
        ConfigError: a secret or key cannot be had.
        SetupError: a sink needs a package that is not installed.
    """
    for settings in config.sink:
        sink = settings.open(SinkContext(config.gateway.id, bytes(16), config.folder, _no_history))
        await sink.close()


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


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
