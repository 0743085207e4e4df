"""Sources of events other than the cloud's own HTTP interface: each reads, forwards to a cloud, and says so only when it has committed.

One file a source, chosen by the scheme of its URL in the table below; ``forward`` is the way to the cloud. An ingest keeps nothing:
it may be killed anywhere, and may run several times.
"""

from __future__ import annotations

import importlib
from typing import cast
from urllib.parse import urlsplit

from tinyfleet.cloud.ingest.source import Source
from tinyfleet_codegen.errors import UsageError

SOURCES = {
    "file": "tinyfleet.cloud.ingest.files:ingest_files",
    "kafka": "tinyfleet.cloud.ingest.kafka:ingest_kafka",
    "kafkas": "tinyfleet.cloud.ingest.kafka:ingest_kafka",
    "mqtt": "tinyfleet.cloud.ingest.mqtt:ingest_mqtt",
    "mqtts": "tinyfleet.cloud.ingest.mqtt:ingest_mqtt",
    "opc.tcp": "tinyfleet.cloud.ingest.opcua:ingest_opcua",
}
"""Scheme of a URL, and the function behind it; a source's packages are needed only where it is used."""


def find_source(url: str) -> Source:
    """The source that a URL names.

    Raises:
        UsageError: there is none.
        SetupError: its package is not installed.
    """
    named = SOURCES.get(urlsplit(url).scheme or "file")
    if named is None:
        raise UsageError(f"cannot ingest from {url}", hint=f"allowed: {', '.join(f'{scheme}://...' for scheme in SOURCES)}")
    module, _, function = named.partition(":")
    return cast(Source, getattr(importlib.import_module(module), function))


__all__ = ["SOURCES", "find_source"]
