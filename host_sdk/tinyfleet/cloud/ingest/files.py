"""From the files of a gateway's file sink, carried over by people: each event once in effect, however often a file is imported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tinyfleet.cloud.ingest.forward import Forwarder, TooLarge
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.cloud_events import Encoding, encode_event
from tinyfleet.gateway.sinks.file import PART, read_events
from tinyfleet_codegen.errors import ConfigError, SinkError

log = logging.getLogger(__name__)

BATCH_EVENTS = 1000
BATCH_BYTES = 2 * 2**20


async def ingest_files(url: str, _credentials: Credentials, forwarder: Forwarder, _on_ready: Callable[[], None]) -> dict[str, Any]:
    """See :class:`tinyfleet.cloud.ingest.source.Source`; ``file:///FOLDER``, ``file:///FILE`` or a path. Ends when all is imported.

    Returns:
        ``files``, ``events``, ``stored``, ``derived``, ``redelivered``, ``duplicated``, ``alarms``, ``refused`` and ``unfinished`` (files
        that a gateway still writes; left out).

    Raises:
        SinkError: the cloud does not take them; what was imported so far stays, and importing all again does no harm.
    """
    parts = urlsplit(url)
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(url)
    found = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    files = [p for p in found if p.suffix in (".jsonl", ".parquet")]
    unfinished = [p for p in found if p.name.endswith(PART)]
    if not files and not unfinished:
        raise ConfigError(f"no files of a gateway in {path}", hint="they end in .jsonl or .parquet")
    for part in unfinished:
        log.warning("left out: a gateway still writes it path=%s", part)
    counts = dict.fromkeys(("stored", "derived", "redelivered", "duplicated", "alarms", "refused"), 0)
    event_count = 0
    for file in files:
        try:
            for events in _batches(file):
                event_count += len(events)
                await _post(forwarder, events, counts)
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read {file}: {error}", hint="copy it again from its gateway") from error
        log.info("imported path=%s", file)
    return {"files": len(files), "events": event_count, **counts, "unfinished": len(unfinished)}


def _batches(file: Path) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for event in read_events(file):
        text = encode_event(event, Encoding.JSON)
        if batch and (len(batch) == BATCH_EVENTS or size + len(text) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text) + 1
    if batch:
        yield batch


async def _post(forwarder: Forwarder, events: list[bytes], counts: dict[str, int]) -> None:
    """Offer a batch, in halves where the cloud wants less."""
    try:
        answer = await forwarder.post(b"[" + b",".join(events) + b"]", Encoding.JSON)
    except TooLarge as error:
        if len(events) == 1:
            raise SinkError(f"{forwarder.url} does not take an event of {len(events[0])} bytes", retryable=False) from error
        await _post(forwarder, events[: len(events) // 2], counts)
        await _post(forwarder, events[len(events) // 2 :], counts)
        return
    for name in counts:
        counts[name] += len(answer["refused"]) if name == "refused" else int(answer.get(name, 0))
    for refusal in answer["refused"][:3]:
        log.error("event refused reason=%s", refusal["reason"])
