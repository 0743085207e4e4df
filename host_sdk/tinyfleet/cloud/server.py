"""One cloud process: a data folder, a listening socket, uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tinyfleet.cloud.app import create_app
from tinyfleet.cloud.store import CLOUD_FILE, CloudStore
from tinyfleet.data_dir import held_data_dir
from tinyfleet_codegen.errors import ConfigError

GRACE_S = 3
"""How long requests under way may take when the process is asked to stop."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files of a server that speaks TLS.

    Attributes:
        certificate: Its certificate.
        key: The certificate's key.
        client_ca: Who must have signed the certificate of every client; None: clients need none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


def serve(
    data_dir: Path, *, host: str, port: int, token: str | None, on_ready: Callable[[str], None], tls: ServerTls | None = None
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        data_dir: Folder of the database; made when it is absent.
        host: Address to listen on.
        port: Port to listen on; 0 lets the system choose.
        token: See :func:`tinyfleet.cloud.app.create_app`.
        on_ready: Called once with the URL when the socket accepts connections.
        tls: How to speak TLS; None: plain HTTP.

    Raises:
        StoreError: the folder or the database cannot be used.
        ConfigError: the address cannot be listened on.
    """
    with held_data_dir(data_dir, what="cloud"):
        store = CloudStore(data_dir / CLOUD_FILE)
        try:
            with _listen(host, port) as listener:
                asyncio.run(_serve(store, listener, host, token, on_ready, tls))
        finally:
            store.close()


async def _serve(
    store: CloudStore, listener: socket.socket, host: str, token: str | None, on_ready: Callable[[str], None], tls: ServerTls | None
) -> None:
    config = uvicorn.Config(
        create_app(store, token=token),
        **_tls_options(tls),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        ws="none",
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot use the certificate, key or client CA: {error}", hint="PEM files, the key without a password") from error
    server = _Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    name = f"[{host}]" if ":" in host else host
    scheme = "http" if tls is None else "https"
    server.on_started = lambda: on_ready(f"{scheme}://{name}:{listener.getsockname()[1]}")
    await server.serve(sockets=[listener])


def _tls_options(tls: ServerTls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    needed = ssl.CERT_NONE if tls.client_ca is None else ssl.CERT_REQUIRED
    return {
        "ssl_certfile": tls.certificate, "ssl_keyfile": tls.key, "ssl_ca_certs": tls.client_ca,
        "ssl_cert_reqs": needed,
    }  # fmt: skip


class _Server(uvicorn.Server):
    """uvicorn that says when it listens and leaves the signals to us."""

    on_started: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(256)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}", hint="--port 0 takes a free port") from error
    return listener
