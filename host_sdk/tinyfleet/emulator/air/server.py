"""The air as a server: one TCP client, one fresh controller."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from bumble import core
from bumble.transport.common import PacketParser

from tinyfleet.emulator.air.controller import AirController
from tinyfleet.emulator.air.faults import AirFaults
from tinyfleet.emulator.air.medium import Counts, Medium
from tinyfleet_codegen.errors import SetupError

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_START_S = 10.0


class Air:
    """A running air; make one with :meth:`start`. Belongs to the loop that started it.

    Attributes:
        address: ``HOST:PORT`` for boards and hosts.
    """

    def __init__(self, server: asyncio.Server, medium: Medium, ports: set[_Port]) -> None:
        self._server = server
        self._medium = medium
        self._ports = ports
        host, port = server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"

    @classmethod
    async def start(cls, *, host: str = "127.0.0.1", port: int = 0, faults: AirFaults | None = None) -> Air:
        """Listen.

        Args:
            host: Address to listen on. Who reaches it is on the air.
            port: 0 takes a free one.
            faults: What goes wrong; see :attr:`faults`.

        Raises:
            SetupError: it cannot listen there.
        """
        medium = Medium(faults or AirFaults())
        numbers = itertools.count(1)
        ports: set[_Port] = set()
        try:
            server = await asyncio.get_running_loop().create_server(lambda: _Port(medium, next(numbers), ports), host, port)
        except OSError as error:
            # asyncio's own words name the address once more; a name that does not resolve has no number of an error.
            reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or error
            raise SetupError(f"cannot listen on {host} port {port}: {reason}", hint="--port 0 takes a free port") from error
        return cls(server, medium, ports)

    @property
    def faults(self) -> AirFaults:
        """What goes wrong; may be set, and its attributes may be set, while it runs. Withheld credits come back when it is *set*."""
        return self._medium.faults

    @faults.setter
    def faults(self, faults: AirFaults) -> None:
        self._medium.faults = faults

    @property
    def counts(self) -> Counts:
        """What it has done so far."""
        return self._medium.counts

    @property
    def advertisers(self) -> list[str]:
        """Addresses of the controllers that advertise now, sorted."""
        active = (controller.le_legacy_advertiser for controller in self._medium.controllers)
        return sorted(advertiser.address.to_string(False) for advertiser in active if advertiser.enabled)

    @property
    def controllers(self) -> int:
        """TCP clients that are on the air now."""
        return len(self._ports)

    def lose_links(self) -> int:
        """Lose all links now, as by going out of reach; returns how many there were."""
        return self._medium.lose_links()

    async def serve_forever(self) -> None:
        """Run until cancelled."""
        await self._server.serve_forever()

    async def close(self) -> None:
        """Stop listening and close all connections."""
        self._server.close()
        ports = list(self._ports)
        for port in ports:
            port.close()
        await asyncio.gather(*(port.closed for port in ports))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


class _Port(asyncio.Protocol):
    """The connection to one host."""

    def __init__(self, medium: Medium, number: int, ports: set[_Port]) -> None:
        self._medium = medium
        self._number = number
        self._ports = ports
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        address = f"00:1B:DC:{self._number >> 16 & 255:02X}:{self._number >> 8 & 255:02X}:{self._number & 255:02X}"
        self._controller = AirController(f"c{self._number}", self._medium, address, self._send)
        self._parser = PacketParser(self._controller)
        self._ports.add(self)
        log.info("controller on the air number=%d", self._number)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except core.InvalidPacketError as error:
            # As a real one: what follows cannot be understood either.
            log.warning("not H4, connection closed number=%d error=%s", self._number, error)
            self._transport.abort()

    def _send(self, packet: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(packet)

    def close(self) -> None:
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._controller.leave()
        self._medium.remove_controller(self._controller)
        self._ports.discard(self)
        self.closed.set_result(None)
        log.info("controller left the air number=%d", self._number)


class ThreadedAir:
    """An air in a thread of its own, for programs and tests without a loop; see :func:`serve_air`.

    Attributes:
        address: ``HOST:PORT``.
    """

    def __init__(self, air: Air, loop: asyncio.AbstractEventLoop) -> None:
        self._air = air
        self._loop = loop
        self.address = air.address

    @property
    def faults(self) -> AirFaults:
        """See :attr:`Air.faults`."""
        return self._air.faults

    @faults.setter
    def faults(self, faults: AirFaults) -> None:
        async def set_it() -> None:
            self._air.faults = faults

        self._run(set_it())

    @property
    def counts(self) -> Counts:
        """See :attr:`Air.counts`."""
        return self._air.counts

    @property
    def controllers(self) -> int:
        """See :attr:`Air.controllers`."""
        return self._air.controllers

    @property
    def advertisers(self) -> list[str]:
        """See :attr:`Air.advertisers`."""

        async def ask() -> list[str]:
            return self._air.advertisers

        return self._run(ask())

    def lose_links(self) -> int:
        """See :meth:`Air.lose_links`."""

        async def lose() -> int:
            return self._air.lose_links()

        return self._run(lose())

    def _run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_START_S)


@contextmanager
def serve_air(*, host: str = "127.0.0.1", port: int = 0, faults: AirFaults | None = None) -> Iterator[ThreadedAir]:
    """Run an air in a thread; arguments and errors as of :meth:`Air.start`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tinyfleet-air", daemon=True)
    thread.start()

    try:
        air = asyncio.run_coroutine_threadsafe(Air.start(host=host, port=port, faults=faults), loop).result(_START_S)
        try:
            yield ThreadedAir(air, loop)
        finally:
            asyncio.run_coroutine_threadsafe(air.close(), loop).result(_START_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
