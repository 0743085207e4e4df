"""From an OPC UA server of a gateway: history first, then what comes; a hole in a device's sequence is filled from history again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tinyfleet.cloud.ingest.forward import RETRY_FIRST_S, RETRY_LIMIT_S, Forwarder
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.cloud_events import Encoding
from tinyfleet.gateway.backoff import Backoff
from tinyfleet.opcua_trust import is_trusted, load_trusted
from tinyfleet_codegen.errors import ConfigError, SetupError

log = logging.getLogger(__name__)

NAMESPACE = "urn:tinyfleet:opcua:1"
APPLICATION = "urn:tinyfleet:ingest"
BATCH_EVENTS = 500
PERIOD_MS = 100
QUEUE_VALUES = 10_000
WAITING_VALUES = 10_000
"""What has arrived and waits for a cloud that does not answer, at most; the rest is read from history afterwards."""
MARGIN = timedelta(minutes=10)
"""How far back history is read again after a connection was lost: clocks are set, and the cloud knows what it has."""
LOOK_S = 1.0
"""New devices are looked for this often."""


async def ingest_opcua(url: str, credentials: Credentials, forwarder: Forwarder, on_ready: Callable[[], None]) -> None:
    """See :class:`tinyfleet.cloud.ingest.source.Source`; ``opc.tcp://HOST:PORT``, with certificates. Runs until cancelled."""
    try:
        from asyncua import ua  # noqa: PLC0415 (an optional extra)
    except ModuleNotFoundError as error:
        raise SetupError(f"OPC UA needs the package {error.name}", hint="pip install 'tinyfleet[opcua]'") from error
    if credentials.certificate is None or credentials.key is None or credentials.ca is None:
        raise ConfigError(
            f"{url}: without a certificate nobody is let in", hint="give --ca, --cert and --key; the certificate of an RSA key"
        )
    load_trusted(credentials.ca, "--ca")
    on_ready()  # the server may come later, and go
    backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S / 5)
    reader = _Reader(forwarder)
    while True:
        try:
            async with _client(url, credentials) as client:
                backoff.reset()
                log.info("connected url=%s", url)
                await reader.run(client)
        except (OSError, ua.UaError, TimeoutError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                raise
            # asyncua cancels its own waits when the server goes.
            log.warning("ingest interrupted url=%s error=%s", url, str(error) or type(error).__name__)
            await asyncio.sleep(backoff.next_s())


class _client:
    """A secure session that checks whom it talks to; an asynchronous context manager."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self._url, self._credentials = url, credentials
        self._client: Any = None

    async def __aenter__(self) -> Any:
        from asyncua import Client, ua  # noqa: PLC0415
        from asyncua.common.utils import ServiceError  # noqa: PLC0415
        from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256  # noqa: PLC0415

        c = self._credentials
        assert c.ca is not None and c.certificate is not None and c.key is not None
        trusted = load_trusted(c.ca, "--ca")

        async def check(certificate: Any, _application: Any) -> None:
            if not is_trusted(certificate, trusted):
                raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

        client = Client(self._url, timeout=5)
        client.application_uri = APPLICATION
        client.certificate_validator = check
        await client.set_security(SecurityPolicyBasic256Sha256, str(c.certificate), str(c.key))
        await client.load_client_certificate(str(c.certificate))
        await client.load_private_key(Path(c.key))
        await client.connect()
        self._client = client
        return client

    async def __aexit__(self, *_: object) -> None:
        try:
            async with asyncio.timeout(2.0):
                await self._client.disconnect()
        except (Exception, TimeoutError) as error:
            log.debug("not disconnected in order error=%r", error)


class _Reader:
    """What is known of each device's event variable over connections."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._newest: dict[str, datetime] = {}
        self._next: dict[tuple[str, int], int] = {}
        self._arrived: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._overrun: set[str] = set()

    async def run(self, client: Any) -> None:
        """Read until the connection fails."""
        namespace = await client.get_namespace_index(NAMESPACE)
        folder = await client.nodes.objects.get_child(f"{namespace}:Tinyfleet")
        self._arrived = asyncio.Queue()
        subscription = await client.create_subscription(PERIOD_MS, self)
        seen: dict[str, Any] = {}
        loop = asyncio.get_running_loop()
        looked_s = 0.0
        while True:
            if loop.time() - looked_s >= LOOK_S:
                looked_s = loop.time()
                for device in await folder.get_children():
                    name = str(device.nodeid.Identifier)
                    if name not in seen:
                        seen[name] = client.get_node(f"ns={namespace};s={name}/Event")
                        # Subscribed first: what comes while history is read comes twice, and the cloud stores it once.
                        await subscription.subscribe_data_change(seen[name], queuesize=QUEUE_VALUES)
                        await self._catch_up(name, seen[name])
            texts = await self._next_values()
            holes = await self._forward(texts)
            if self._arrived.empty():
                holes |= self._overrun  # history has what there was no room for
                self._overrun = set()
            for name in holes:
                await self._catch_up(name, seen[name])

    def datachange_notification(self, node: Any, value: Any, _data: Any) -> None:
        """asyncua calls this for every value."""
        name = str(node.nodeid.Identifier).partition("/")[0]
        if value and self._arrived.qsize() < WAITING_VALUES:
            self._arrived.put_nowait((name, value))
        elif value:
            self._overrun.add(name)

    async def _next_values(self) -> list[tuple[str, str]]:
        """What has arrived; nothing after a while."""
        try:
            async with asyncio.timeout(LOOK_S / 2):
                values = [await self._arrived.get()]
        except TimeoutError:
            return []
        while len(values) < BATCH_EVENTS and not self._arrived.empty():
            values.append(self._arrived.get_nowait())
        return values

    async def _forward(self, values: list[tuple[str, str]]) -> set[str]:
        """Forward events; returns the devices in whose sequence something is missing before them."""
        holes = set()
        for name, text in values:
            place = _place_of(text)
            if place is not None:
                boot = (name, place[0])
                if place[1] > self._next.get(boot, 0):
                    holes.add(name)
                # Asked for once: what history does not hold now, it will never hold.
                self._next[boot] = max(self._next.get(boot, 0), place[1] + 1)
        if values:
            await self._post([text for _, text in values])
        return holes

    async def _catch_up(self, name: str, node: Any) -> None:
        """Everything that the server's outbox holds of a device, from a little before the newest that was seen."""
        if name == "gateway":
            return
        start = self._newest.get(name, datetime(1970, 1, 2, tzinfo=UTC) + MARGIN) - MARGIN
        values = await node.read_raw_history(start, datetime.now(UTC) + timedelta(days=3650))
        log.info("history read device=%s values=%d", name, len(values))
        for first in range(0, len(values), BATCH_EVENTS):
            chunk = values[first : first + BATCH_EVENTS]
            texts = [str(v.Value.Value) for v in chunk]
            await self._post(texts)
            for place in filter(None, map(_place_of, texts)):
                self._next[name, place[0]] = max(self._next.get((name, place[0]), 0), place[1] + 1)
            newest = chunk[-1].SourceTimestamp
            if newest is not None:
                self._newest[name] = newest if newest.tzinfo is not None else newest.replace(tzinfo=UTC)

    async def _post(self, texts: list[str]) -> None:
        await self._forwarder.post_all([text.encode() for text in texts], Encoding.JSON, source="opc ua")


def _place_of(text: str) -> tuple[int, int] | None:
    """boot_id and seq of a record; None: it is none, or nothing that can be read. The cloud decides about that."""
    try:
        data = json.loads(text)["data"]
        place = data["boot_id"], data["seq"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return place if all(isinstance(number, int) for number in place) else None
