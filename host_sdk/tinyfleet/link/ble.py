"""``ble://NAME-or-device-id[?air=HOST:PORT]``: a device over Bluetooth Low Energy.

A board is called ``tf-`` and the first five digits of its device id. A name finds it; what it is, it says itself: the first request on
a connection is hello, and a device that is not the one meant is left alone. Its address says nothing, on some systems it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import re
from dataclasses import dataclass

from tinyfleet.link.ble_adapter import Adapter, Connection, Sighting, adapter_for
from tinyfleet.link.link import Link
from tinyfleet_codegen.errors import AccessError, LinkClosed, LinkError, LinkTimeout, TinyfleetError, UsageError
from tinyfleet_codegen.wire.ble import NAME_DIGITS, NAME_PREFIX

log = logging.getLogger(__name__)

AIR_ENVIRONMENT = "TINYFLEET_AIR"
LOOK_AROUND_S = 0.3
"""A name may be that of two: so long it is waited for a second one."""
RETRY_FIRST_S = 0.05
RETRY_LIMIT_S = 1.0
_DEVICE_ID = re.compile(r"[0-9a-f]{1,32}")


class _ConnectionLink(Link):
    """A link as long as its connection lasts."""

    needs_session = True

    def __init__(self, url: str, connection: Connection | None) -> None:
        super().__init__(url)
        self._connection = connection
        self._may_be_torn = False  # of what has no answer yet, something went in several pieces, of which each can get lost

    async def disconnect(self) -> None:
        """Close the link."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def send(self, data: bytes) -> None:
        """See :class:`~tinyfleet.link.link.Link`; raises LinkTimeout when nothing is taken."""
        connection = self._connected()
        self._may_be_torn = len(data) > connection.piece_bytes or (self._may_be_torn and not self._is_settled)
        self._is_settled = False
        await connection.write(data)

    async def receive(self) -> bytes:
        """See :class:`~tinyfleet.link.link.Link`."""
        return await self._connected().read()

    def give_up(self) -> None:
        """See :class:`~tinyfleet.link.link.Link`: messages have no marks, so only a pause ends one that lost a piece."""
        if self._may_be_torn and self._connection is not None:
            self._connection.pause()

    @property
    def dropped_frames(self) -> int:
        """Replies that did not arrive whole so far, on this connection."""
        return 0 if self._connection is None else self._connection.dropped_frames

    def _connected(self) -> Connection:
        if self._connection is None:
            raise LinkClosed(f"{self.url} is closed")
        return self._connection


class BleLink(_ConnectionLink):
    """A link over BLE to one device, made anew when its connection is lost.

    Args:
        url: Device URL, for messages to people.
        target: Name, or first digits of the device id.
        adapter: Where it is looked for.
    """

    def __init__(self, url: str, target: str, adapter: Adapter) -> None:
        super().__init__(url, None)
        self._target = target
        self._adapter = adapter
        self.device_id: bytes | None = None
        """What the device calls itself, once it is open."""

    async def open(self, timeout_s: float) -> None:
        """Find the device, connect, and ask who it is.

        Raises:
            LinkClosed: there is no adapter, or no air.
            LinkTimeout: no such device, or no connection to it, in time.
            AccessError: another device goes by its name.
            UsageError: two devices go by its name.
        """
        search = _Search(self.url, self._target)
        pause_s = RETRY_FIRST_S
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                while self._connection is None:
                    async with self._adapter.watch() as sightings:
                        sighting = await search.next_candidate(sightings)
                    try:
                        left_s = (deadline.when() or 0.0) - asyncio.get_running_loop().time()
                        await self._try(sighting, search, left_s)
                    except LinkError as error:
                        search.failed(sighting, error)
                        log.debug("no link url=%s error=%s", self.url, error)
                        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                        pause_s = min(2 * pause_s, RETRY_LIMIT_S)
        except TimeoutError as error:
            raise search.not_found(timeout_s) from error

    async def renew(self, timeout_s: float) -> None:
        """Connect anew, to the same device, when the connection is lost; replies to what was sent before do not come any more."""
        connection = self._connected()
        if connection.is_open:
            return
        await connection.close()
        self._connection = None
        if self.device_id is not None:
            self._target = self.device_id.hex()
        self._is_settled = True
        try:
            await self.open(timeout_s)
        finally:
            # Not in reach now is not closed: it may be tried again.
            self._connection = self._connection or connection

    async def _try(self, sighting: Sighting, search: _Search, timeout_s: float) -> None:
        connection = await self._adapter.connect(sighting, timeout_s)
        try:
            device_id = await _who(_ConnectionLink(self.url, connection), timeout_s)
            if search.accepts(sighting, device_id):
                self.device_id, self._connection = device_id, connection
                log.info("connected url=%s device=%s", self.url, device_id.hex())
        finally:
            if self._connection is not connection:
                await connection.close()


async def _who(link: Link, timeout_s: float) -> bytes:
    from tinyfleet.smp.client import DeviceClient  # noqa: PLC0415 - it stands on links
    from tinyfleet.smp.requests import HelloRequest  # noqa: PLC0415

    return (await DeviceClient(link, timeout_s).ask(HelloRequest(), repeatable=True)).device_id


class _Search:
    """Which of the devices in reach is meant."""

    def __init__(self, url: str, target: str) -> None:
        self._url = url
        self._target = target
        self._is_id = _DEVICE_ID.fullmatch(target.lower()) is not None
        self._prefix = target.lower() if self._is_id else _id_in_name(target)
        self._others: dict[str, str] = {}  # address -> what it is
        self._names: set[str] = set()
        self._last_error: TinyfleetError | None = None

    def _may_be(self, sighting: Sighting) -> bool:
        if not self._is_id:
            return sighting.name == self._target
        # A name holds but the first digits, a target perhaps fewer.
        return _id_in_name(sighting.name).startswith(self._prefix[:NAME_DIGITS]) and sighting.address not in self._others

    async def next_candidate(self, sightings: asyncio.Queue[Sighting]) -> Sighting:
        """Wait for a device that may be the one."""
        while not self._may_be(sighting := await sightings.get()):
            if sighting.speaks_smp and sighting.address not in self._others:
                self._names.add(sighting.name or sighting.address)
        if len(self._prefix) > NAME_DIGITS:
            return sighting
        rivals = {sighting.address: sighting}
        try:
            async with asyncio.timeout(LOOK_AROUND_S):
                while True:
                    other = await sightings.get()
                    if self._may_be(other):
                        rivals[other.address] = other
        except TimeoutError:
            pass
        if len(rivals) > 1:
            names = ", ".join(sorted(f"{rival.name} at {address}" for address, rival in rivals.items()))
            raise UsageError(f"{self._url} may be any of {len(rivals)}: {names}", hint="name one by its whole device id: ble://DEVICE_ID")
        return sighting

    def accepts(self, sighting: Sighting, device_id: bytes) -> bool:
        """Whether a device that says so is the one meant; False: look on.

        Raises:
            AccessError: it has the name that was asked for, but is another.
        """
        if device_id.hex().startswith(self._prefix):
            return True
        log.info("another device url=%s name=%s device=%s", self._url, sighting.name, device_id.hex())
        self._others[sighting.address] = device_id.hex()
        if self._is_id:
            return False
        raise AccessError(
            f"{self._url}: the device that is called {sighting.name} says that it is {device_id.hex()}",
            hint="its name must come from its id",
        )

    def failed(self, sighting: Sighting, error: TinyfleetError) -> None:
        """A candidate could not be used."""
        self._names.add(sighting.name or sighting.address)
        self._last_error = error

    def not_found(self, timeout_s: float) -> LinkTimeout:
        """Why nothing was found in time."""
        if self._last_error is not None:
            return LinkTimeout(f"{self._url}: not within {timeout_s:g} s: {self._last_error}", hint=self._last_error.hint)
        others = [f"device {device_id}" for device_id in self._others.values()]
        reach = ", ".join(sorted(self._names) + others) or "nobody"
        hint = "is it powered, in reach, and not connected to another host? a longer --timeout helps with a weak signal"
        return LinkTimeout(f"no device {self._target} within {timeout_s:g} s; in reach: {reach}", hint=hint)


@dataclass(frozen=True, slots=True)
class Found:
    """A device that advertised, as :func:`scan_ble` saw it.

    Attributes:
        name: What it calls itself; "" when it does not.
        address: What this system knows it by.
        rssi: Strength of the signal in dBm.
        services: UUIDs of the services that it advertises.
        id_begins: First digits of its device id, from its name; "" for a device of others.
        speaks_smp: Whether it offers management.
    """

    name: str
    address: str
    rssi: int
    services: tuple[str, ...]
    id_begins: str
    speaks_smp: bool


async def scan_ble(air: str | None, seconds: float) -> list[Found]:
    """Who advertises, strongest first.

    Args:
        air: ``HOST:PORT``, or None for this machine's own adapter.
        seconds: How long to listen.

    Raises:
        LinkClosed: there is no adapter, or no air.
    """
    seen: dict[str, Sighting] = {}
    async with adapter_for(air).watch() as sightings:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    sighting = await sightings.get()
                    # A name may come in the answer to a scan only, and an advertisement after it lack it again.
                    if sighting.name or sighting.address not in seen:
                        seen[sighting.address] = sighting
    found = [Found(s.name, s.address, s.rssi, tuple(map(str, s.services)), _id_in_name(s.name), s.speaks_smp) for s in seen.values()]
    return sorted(found, key=lambda device: (-device.rssi, device.name, device.address))


def _id_in_name(name: str) -> str:
    digits = name.removeprefix(NAME_PREFIX)
    return digits if name.startswith(NAME_PREFIX) and _DEVICE_ID.fullmatch(digits) else ""


def named_air(option: str | None) -> str | None:
    """The air that a URL's option or else the environment names; None: this machine's own adapter."""
    return (os.environ.get(AIR_ENVIRONMENT) if option is None else option) or None


async def open_ble(url: str, target: str, air: str | None, timeout_s: float) -> BleLink:
    """Open a link; see :meth:`BleLink.open`.

    Args:
        url: Device URL, for messages to people.
        target: Name, or first digits of the device id.
        air: ``HOST:PORT``, or None for this machine's own adapter.
        timeout_s: Deadline for everything.
    """
    if not target:
        raise UsageError(f"{url} names no device", hint="ble://tf-1a2b3 or ble://DEVICE_ID; tinyfleet device scan lists them")
    link = BleLink(url, target, adapter_for(air))
    await link.open(timeout_s)
    return link
