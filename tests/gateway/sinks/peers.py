"""The real other ends of sinks: a cloud over HTTPS that asks for certificates, a broker with access rules, and what they hold."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from tests.support.patience import HANG_S
from tests.support.pki import Identity, TestCa
from tinyfleet.cloud.app import create_app
from tinyfleet.cloud.ingest.forward import Forwarder
from tinyfleet.cloud.ingest.mqtt import ingest_mqtt
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.cloud.store import CLOUD_FILE, CloudStore
from tinyfleet.demo.broker import Broker
from tinyfleet.demo.reserved_port import ReservedPort

GATEWAY = "gw-1"
OTHER_GATEWAY = "gw-2"
READER = "cloud"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who there is, and who nobody trusts.

    Attributes:
        gateway: Allowed what is its own.
        expired: The same name, out of date.
        foreign: The same name, signed by another authority.
    """

    ca: Path
    server: Identity
    reader: Identity
    gateway: Identity
    expired: Identity
    foreign: Identity
    foreign_ca: Path

    @classmethod
    def make(cls, folder: Path) -> Fleet:
        """Issue all certificates into a folder."""
        ours, others = TestCa(folder, "fleet"), TestCa(folder, "stranger")
        return cls(
            ca=ours.certificate,
            server=ours.issue("localhost", server=True),
            reader=ours.issue(READER),
            gateway=ours.issue(GATEWAY),
            expired=ours.issue(GATEWAY, expired=True),
            foreign=others.issue(GATEWAY),
            foreign_ca=others.certificate,
        )


def start_broker(folder: Path, fleet: Fleet) -> Broker:
    """mosquitto that knows clients by their certificates, and lets each gateway into its own topics only."""
    folder.mkdir()
    access = folder / "access.txt"
    access.write_text(
        f"user {READER}\ntopic readwrite tf/1/#\n\n"
        "pattern write tf/1/%u/telemetry/+\npattern write tf/1/%u/status\npattern read tf/1/%u/ack\n",
        encoding="utf-8",
    )
    access.chmod(0o600)
    lines = (
        f"cafile {fleet.ca}",
        f"certfile {fleet.server.certificate}",
        f"keyfile {fleet.server.key}",
        "require_certificate true",
        "use_identity_as_username true",
        f"acl_file {access}",
        "max_packet_size 300000",
    )
    return Broker(folder, lines, scheme="mqtts")


@dataclass
class LocalCloud:
    """A cloud in this process, over HTTP or HTTPS, that can be stopped, started, kept from answering and made to fail.

    Attributes:
        may_answer: While it is not set, no answer goes out; what was asked for is committed.
        status: Answered instead of taking a batch; None: it works.
        bodies: Bytes of each batch that was offered.
    """

    store: CloudStore
    tls: tuple[Identity, Path] | None = None
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None
    headers: dict[bytes, bytes] = field(default_factory=dict)
    bodies: list[int] = field(default_factory=list)
    _reserved: ReservedPort = field(default_factory=ReservedPort)
    _server: uvicorn.Server | None = None
    _task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'http' if self.tls is None else 'https'}://localhost:{self._reserved.number}"

    async def start(self) -> None:
        """Listen; again: on the port that it had."""
        options: dict[str, Any] = {}
        if self.tls is not None:
            identity, ca = self.tls
            options = {
                "ssl_certfile": identity.certificate,
                "ssl_keyfile": identity.key,
                "ssl_ca_certs": ca,
                "ssl_cert_reqs": ssl.CERT_REQUIRED,
            }
        listener = socket.create_server(("127.0.0.1", self._reserved.number))
        app = create_app(self.store)

        async def faulty(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["method"] == "POST":
                length = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
                self.bodies.append(length)
                if self.status is not None:
                    await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers.items())})
                    await send({"type": "http.response.body", "body": b"no"})
                    return

            async def late(message: Any) -> None:
                await self.may_answer.wait()
                await send(message)

            await app(scope, receive, late)

        config = uvicorn.Config(
            faulty, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1, ws="none", **options
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        async with asyncio.timeout(HANG_S):
            while not self._server.started:  # noqa: ASYNC110 - it has no event for this
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = self._server.force_exit = True
            await self._task
            self._server = None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _new_store(folder: Path) -> CloudStore:
    folder.mkdir(parents=True, exist_ok=True)
    return CloudStore(folder / CLOUD_FILE)


@asynccontextmanager
async def local_cloud(folder: Path, tls: tuple[Identity, Path] | None = None) -> AsyncIterator[LocalCloud]:
    """A cloud that is gone at the end."""
    store = _new_store(folder)
    cloud = LocalCloud(store, tls)
    cloud.may_answer.set()
    await cloud.start()
    try:
        yield cloud
    finally:
        cloud.may_answer.set()
        await cloud.stop()
        store.close()


async def stored(cloud: LocalCloud, count: int) -> None:
    """Wait until it has so many records."""
    async with asyncio.timeout(HANG_S):
        while cloud.store.totals()["stored"] < count:  # noqa: ASYNC110 - a database changes
            await asyncio.sleep(0.02)


@asynccontextmanager
async def mqtt_ingest(broker: Broker, fleet: Fleet, cloud: LocalCloud) -> AsyncIterator[None]:
    """What brings a broker's messages into a cloud."""
    ready = asyncio.Event()
    credentials = Credentials(fleet.ca, fleet.reader.certificate, fleet.reader.key)
    async with Forwarder(cloud.url, token=None) as forwarder:
        task = asyncio.create_task(ingest_mqtt(broker.url, credentials, forwarder, ready.set))
        try:
            await asyncio.wait_for(ready.wait(), HANG_S)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
