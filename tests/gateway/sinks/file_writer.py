"""A process that delivers into files until it is killed, and says what the sink has accepted.

It begins with what was not accepted before, as an outbox would.
"""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from tests.gateway.sinks.batches import Source, context
from tests.gateway.sinks.peers import GATEWAY
from tinyfleet.gateway.sinks.file import FileSinkSettings

BATCH = 7


def write_files(folder: Path, accepted: int, file_format: str, tell: Connection) -> None:
    """Deliver for ever; ``tell`` is sent the last entry of each accepted batch."""
    asyncio.run(_deliver(folder, accepted, file_format, tell))


async def _deliver(folder: Path, accepted: int, file_format: str, tell: Connection) -> None:
    source = Source(GATEWAY)
    source.batch(accepted)
    settings = FileSinkSettings.model_validate({"type": "file", "folder": "out", "format": file_format, "max_file_bytes": 20_000})
    sink = settings.open(context(folder, GATEWAY))
    while True:
        batch = source.batch(BATCH)
        await sink.deliver(batch)
        tell.send(batch.envelopes[-1].entry)
