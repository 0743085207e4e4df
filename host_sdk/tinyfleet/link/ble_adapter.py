"""A Bluetooth adapter, or a place in an air: who is there, and connections to them, made one after the other.

::

    adapter = adapter_for(None)                       # this machine's; "127.0.0.1:4000": that air
    async with adapter.watch() as sightings:
        sighting = await sightings.get()
    connection = await adapter.connect(sighting, timeout_s=5.0)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError
from bleak_retry_connector import establish_connection

from tinyfleet.link.reassembly import Reassembly
from tinyfleet_codegen.errors import LinkClosed, LinkLost, LinkTimeout, UsageError
from tinyfleet_codegen.wire.ble import MANAGEMENT_SERVICE_UUID, MANAGEMENT_UUID, MESSAGE_GAP_S

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

log = logging.getLogger(__name__)

WRITE_S = 10.0
"""Longest that one piece of a message may wait to be taken; whoever asks has a deadline of its own."""
DISCONNECT_S = 2.0
GAP_MARGIN_S = 0.2
"""Devices' clocks differ, and pieces are on their way for a while."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A device that advertised.

    Attributes:
        name: What it calls itself; "" when it does not.
        address: What this system knows it by; on some systems no address at all, and never an identity.
        rssi: Strength of the signal in dBm; of an air, as the air pleases.
        services: UUIDs of the services that it advertises.
        device: For :meth:`Adapter.connect`.
    """

    name: str
    address: str
    rssi: int
    services: tuple[uuid.UUID, ...]
    device: BLEDevice

    @property
    def speaks_smp(self) -> bool:
        """Whether it advertises management."""
        return MANAGEMENT_SERVICE_UUID in self.services


class Adapter:
    """One adapter. Any number of tasks may watch: they share one scan.

    Args:
        air: ``HOST:PORT`` of an air; None: this machine's own adapter.

    Raises:
        SetupError: the package for airs is missing.
    """

    def __init__(self, air: str | None) -> None:
        self._air = air
        # Now and not within anybody's deadline: loading Bumble takes a second or more.
        self._scanner_options, self._client_options = _backend(air)
        self._connecting = asyncio.Lock()
        self._scanning = asyncio.Lock()  # held while the scan starts or stops
        self._watchers: set[asyncio.Queue[Sighting]] = set()
        self._scanner: BleakScanner | None = None

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[asyncio.Queue[Sighting]]:
        """Scan while the body runs; yields what is seen, again and again.

        Raises:
            LinkClosed: there is no adapter, or no air.
        """
        seen: asyncio.Queue[Sighting] = asyncio.Queue()
        async with self._scanning:
            if self._scanner is None:
                with self._own_errors("cannot scan"):
                    scanner = BleakScanner(self._on_seen, **self._scanner_options)
                    await scanner.start()
                self._scanner = scanner
            self._watchers.add(seen)
        try:
            yield seen
        finally:
            self._watchers.discard(seen)
            async with self._scanning:
                if not self._watchers and self._scanner is not None:
                    scanner, self._scanner = self._scanner, None
                    # An adapter that went away scans no more.
                    with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError):
                        async with asyncio.timeout(DISCONNECT_S):
                            await scanner.stop()

    def _on_seen(self, device: BLEDevice, data: AdvertisementData) -> None:
        services = tuple(uuid.UUID(service) for service in data.service_uuids)
        sighting = Sighting(data.local_name or device.name or "", device.address, data.rssi, services, device)
        for watcher in self._watchers:
            watcher.put_nowait(sighting)

    async def connect(self, sighting: Sighting, timeout_s: float) -> Connection:
        """Connect and find the management service; other connects of this adapter wait meanwhile.

        Args:
            sighting: From a scan that is not long ago.
            timeout_s: Deadline, without the wait for others.

        Raises:
            LinkClosed: it went, or does not want, or offers no management.
            LinkTimeout: not in time.
        """
        async with self._connecting:
            connection = Connection(sighting.name or sighting.address)
            try:
                with self._own_errors(f"cannot connect to {connection.name}"):
                    async with asyncio.timeout(timeout_s):
                        client = await establish_connection(
                            BleakClient,
                            sighting.device,
                            connection.name,
                            disconnected_callback=connection.on_lost,
                            max_attempts=1,  # a second one would use the same client and the same sighting
                            **self._client_options,
                        )
                        await connection.start(client)
            except TimeoutError as error:
                raise LinkTimeout(f"{connection.name} took no connection within {timeout_s:.1f} s") from error
            finally:
                if not connection.is_open:
                    await connection.close()
            return connection

    @contextmanager
    def _own_errors(self, what: str) -> Iterator[None]:
        """Bleak's errors and the system's as ours."""
        try:
            yield
        except BleakBluetoothNotAvailableError as error:
            raise self._absent(str(error.args[0])) from error
        except BleakDBusError as error:
            if error.dbus_error.startswith("org.freedesktop.DBus.Error."):
                raise self._absent(f"the Bluetooth service does not answer ({error.dbus_error.rpartition('.')[2]})") from error
            raise LinkClosed(f"{what}: {error}") from error
        except (OSError, EOFError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise self._absent(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error
        except BleakError as error:
            if str(error).startswith("no air"):
                raise self._absent("nobody listens there") from error
            raise LinkClosed(f"{what}: {str(error) or type(error).__name__}") from error

    def _absent(self, reason: str) -> LinkClosed:
        if self._air is not None:
            return LinkClosed(f"no air at {self._air}: {reason}", hint="tinyfleet air serve starts one")
        return LinkClosed(f"no Bluetooth adapter: {reason}", hint="plug one in and power it, or name an air: ble://NAME?air=HOST:PORT")


def _backend(air: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What bleak's scanners and clients are made with."""
    if air is None:
        return {}, {}
    from tinyfleet.emulator.bleak_air import air_backend  # noqa: PLC0415 - a host with a radio needs no Bumble

    backend = air_backend(air)
    return {"backend": backend.scanner_type}, {"backend": backend.client_type}


class Connection:
    """A connection to one device's management characteristic."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_open = False
        self._client: BleakClient | None = None
        self._characteristic: BleakGATTCharacteristic | None = None
        self._reassembly = Reassembly()
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting: set[asyncio.Timeout] = set()
        self._wrote_s = 0.0  # when the last piece went out
        self._is_torn = False  # of the last message perhaps not all did, or not all arrived

    async def start(self, client: BleakClient) -> None:
        """Use a connected client from now on.

        Raises:
            LinkClosed: it offers no management.
        """
        self._client = client
        service = client.services.get_service(str(MANAGEMENT_SERVICE_UUID))
        characteristic = service.get_characteristic(str(MANAGEMENT_UUID)) if service is not None else None
        if characteristic is None:
            raise LinkClosed(f"{self.name} offers no management over BLE", hint="tinyfleet device scan shows what does")
        self._characteristic = characteristic
        await client.start_notify(characteristic, self._on_piece)
        self.is_open = client.is_connected

    def on_lost(self, _client: BleakClient) -> None:
        """The connection is gone: ends whatever waits."""
        self.is_open = False
        now = asyncio.get_running_loop().time()
        for scope in self._waiting:
            if not scope.expired():
                scope.reschedule(now)

    def _on_piece(self, _: BleakGATTCharacteristic, piece: bytearray) -> None:
        for message in self._reassembly.feed(bytes(piece), asyncio.get_running_loop().time()):
            self._messages.put_nowait(message)

    @property
    def dropped_frames(self) -> int:
        """Messages that did not arrive whole."""
        return self._reassembly.dropped_frames

    async def write(self, message: bytes) -> None:
        """Send one message, in pieces without response.

        Raises:
            LinkLost: the connection is gone.
            LinkTimeout: the device, or this system, takes nothing.
        """
        client, characteristic = self._client, self._characteristic
        async with self._while_open(WRITE_S):
            assert client is not None and characteristic is not None
            clock = asyncio.get_running_loop().time
            if self._is_torn:
                # What follows would be taken for the rest of it, until the device gives it up.
                await asyncio.sleep(self._wrote_s + MESSAGE_GAP_S + GAP_MARGIN_S - clock())
            self._is_torn = True
            step = self.piece_bytes
            for start in range(0, len(message), step):
                self._wrote_s = clock()
                await client.write_gatt_char(characteristic, message[start : start + step], response=False)
            self._is_torn = False

    @property
    def piece_bytes(self) -> int:
        """Most bytes of a message in one piece. Some systems say 20 first and more after they have talked to the device."""
        return 0 if self._characteristic is None else self._characteristic.max_write_without_response_size

    def pause(self) -> None:
        """Send nothing before the device has given up what it may hold of an unfinished message."""
        self._is_torn = True

    async def read(self) -> bytes:
        """Wait for the next whole message.

        Raises:
            LinkLost: the connection is gone, and all that had arrived is read.
        """
        if not self._messages.empty():
            return self._messages.get_nowait()
        async with self._while_open(None):
            return await self._messages.get()

    @asynccontextmanager
    async def _while_open(self, timeout_s: float | None) -> AsyncIterator[None]:
        if not self.is_open:
            raise self._lost()
        try:
            async with asyncio.timeout(timeout_s) as scope:
                self._waiting.add(scope)
                try:
                    yield
                finally:
                    self._waiting.discard(scope)
        except TimeoutError as error:
            if self.is_open:
                raise LinkTimeout(f"{self.name} takes no bytes") from error
            raise self._lost() from error
        except (BleakError, OSError, EOFError) as error:
            # After a loss bleak has many ways to say that it knows nothing of the device.
            raise self._lost() from error

    def _lost(self) -> LinkLost:
        return LinkLost(f"{self.name} is connected no more", hint="it restarted, or went out of reach; a board drops who opens no session")

    async def close(self) -> None:
        """Disconnect; may be called twice."""
        client, self._client, self.is_open = self._client, None, False
        if client is None:
            return
        with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError):
            async with asyncio.timeout(DISCONNECT_S):
                await client.disconnect()


_adapters: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str | None, Adapter]] = weakref.WeakKeyDictionary()


def adapter_for(air: str | None) -> Adapter:
    """The adapter of the running event loop: the same for all who ask.

    Args:
        air: ``HOST:PORT``; None: this machine's own.

    Raises:
        UsageError: that is no such address.
        SetupError: the package for airs is missing.
    """
    if air is not None:
        host, _, port = air.rpartition(":")
        if not host or not port.isdecimal():
            raise UsageError(f"an air is HOST:PORT, got {air!r}", hint="tinyfleet air serve prints its own")
    known = _adapters.setdefault(asyncio.get_running_loop(), {})
    if air not in known:
        known[air] = Adapter(air)
    return known[air]
