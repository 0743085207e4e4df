"""One device pulled into one outbox, by the puller alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tinyfleet.device import open_device
from tinyfleet.gateway.config import DeviceSettings
from tinyfleet.gateway.edge import Edge
from tinyfleet.gateway.outbox import OUTBOX_FILE, Outbox
from tinyfleet.gateway.puller import Puller
from tinyfleet.gateway.status import DeviceStatus
from tinyfleet.gateway.store_thread import StoreThread


@asynccontextmanager
async def pulling(folder: Path, url: str, edge: Edge) -> AsyncIterator[tuple[StoreThread, DeviceStatus]]:
    """While the body runs, in small pieces; what rules want done waits in the outbox."""
    ages = {name: rule.max_age_s for rule in edge._rules for name in rule.targets()}
    store, status = StoreThread(Outbox(folder / OUTBOX_FILE, gateway_id="gw", targets=ages)), DeviceStatus(url)
    table = DeviceSettings(url=url, poll_s=0.01, max_records=7, timeout_s=120.0)
    puller = Puller(table, opener=open_device, store=store, on_commit=lambda: None, claims={}, status=status, edge=edge)
    task = asyncio.create_task(puller.run())
    try:
        yield store, status
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        store.close()
