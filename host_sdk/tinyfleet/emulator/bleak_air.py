"""bleak on the air of :mod:`tinyfleet.emulator.air` instead of this machine's adapter.

::

    backend = air_backend("127.0.0.1:40123")
    device = await BleakScanner.find_device_by_name("tf-0a1b2", backend=backend.scanner_type)
    async with BleakClient(device, backend=backend.client_type) as client: ...

Every scan and every connection has a Bumble host and a controller of its own. Needs the extra ``sim``. bleak calls its interface for
backends unstable: its version is pinned.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str

from tinyfleet_codegen.errors import SetupError

try:
    from bumble import att, core, hci
    from bumble.device import Advertisement, Connection, Device, Peer
    from bumble.gatt_client import CharacteristicProxy, DescriptorProxy, ServiceProxy
    from bumble.transport.common import Transport
    from bumble.transport.tcp_client import open_tcp_client_transport
except ModuleNotFoundError as error:
    raise SetupError(f"the air needs the package {error.name}", hint="pip install 'tinyfleet[sim]'") from error

_T = TypeVar("_T")
MAX_PENDING_WRITES = 16
"""Write commands of a client that may wait for the controller; then the writer waits."""
MTU = 247
"""What a client asks for."""
_OPEN_S = 5.0
_DISCONNECT_S = 5.0
_PROPERTIES: tuple[CharacteristicPropertyName, ...] = (
    "broadcast",
    "read",
    "write-without-response",
    "write",
    "notify",
    "indicate",
    "authenticated-signed-writes",
    "extended-properties",
)


class AirBackend(NamedTuple):
    """What bleak takes as ``backend``: one type for clients, one for scanners."""

    client_type: type[BaseBleakClient]
    scanner_type: type[BaseBleakScanner]


@functools.cache
def air_backend(address: str) -> AirBackend:
    """The backend on the air at ``HOST:PORT``; always the same types for the same address."""
    return AirBackend(type("AirClient", (_Client,), {"air": address}), type("AirScanner", (_Scanner,), {"air": address}))


async def kept(answer: Awaitable[_T]) -> _T:
    """What Bumble answers, unless this task was cancelled meanwhile.

    Bumble waits by ``asyncio.wait_for``, which before Python 3.12 forgets a cancellation that comes together with the answer: on a
    machine that stood still a deadline passed unseen, and what came after it was waited for without end.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        return await answer
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


async def _open_adapter(address: str) -> tuple[Device, Transport]:
    """A host with a controller on the air.

    Raises:
        BleakError: no air is there.
    """
    try:
        async with asyncio.timeout(_OPEN_S):
            transport = await open_tcp_client_transport(address)
            try:
                device = Device.with_hci("host", hci.Address.generate_static_address(), transport.source, transport.sink)
                await kept(device.power_on())
            except BaseException:
                await transport.close()
                raise
    except (OSError, ValueError, core.BaseBumbleError) as error:
        raise BleakError(f"no air at {address}: {error}") from error
    return device, transport


class _Scanner(BaseBleakScanner):
    air: str

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None = None,
        service_uuids: list[str] | None = None,
        scanning_mode: str = "active",
        **_options: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._is_active = scanning_mode == "active"
        self._transport: Transport | None = None

    async def start(self) -> None:
        """See :class:`bleak.BleakScanner`."""
        self.seen_devices = {}
        device, self._transport = await _open_adapter(self.air)
        device.on(device.EVENT_ADVERTISEMENT, self._on_advertisement)
        try:
            await kept(device.start_scanning(active=self._is_active, filter_duplicates=False))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """See :class:`bleak.BleakScanner`."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.close()

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        data = _parse_advertisement(advertisement)
        if self._transport is not None and self.is_allowed_uuid(data.service_uuids):
            address = advertisement.address.to_string(False)
            device = self.create_or_update_device(address, address, data.local_name, advertisement.address, data)
            self.call_detection_callbacks(device, data)


def _parse_advertisement(advertisement: Advertisement) -> AdvertisementData:
    """bleak's view of it; the numbers are the assigned ones of the Bluetooth core specification supplement."""
    name, power = None, None
    services: list[str] = []
    manufacturer: dict[int, bytes] = {}
    of_services: dict[str, bytes] = {}
    for kind, value in advertisement.data.ad_structures:
        if kind in {0x08, 0x09}:
            name = value.decode("utf-8", "replace")
        elif kind in {0x02, 0x03}:
            services += [normalize_uuid_str(value[i : i + 2][::-1].hex()) for i in range(0, len(value), 2)]
        elif kind in {0x06, 0x07}:
            services += [str(uuid.UUID(bytes=value[i : i + 16][::-1])) for i in range(0, len(value) - 15, 16)]
        elif kind == 0x0A:
            power = int.from_bytes(value[:1], "little", signed=True)
        elif kind == 0x16:
            of_services[normalize_uuid_str(value[:2][::-1].hex())] = bytes(value[2:])
        elif kind == 0x21 and len(value) >= 16:
            of_services[str(uuid.UUID(bytes=value[:16][::-1]))] = bytes(value[16:])
        elif kind == 0xFF:
            manufacturer[int.from_bytes(value[:2], "little")] = bytes(value[2:])
    return AdvertisementData(name, manufacturer, of_services, services, power, advertisement.rssi, (advertisement,))


class _Client(BaseBleakClient):
    air: str

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None = None,
        timeout: float = 10.0,
        services: set[str] | None = None,
        **_options: Any,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._wanted_services = services
        is_device = isinstance(address_or_ble_device, BLEDevice)
        self._peer_address: hci.Address | None = address_or_ble_device.details if isinstance(address_or_ble_device, BLEDevice) else None
        self._name = address_or_ble_device.name if is_device and isinstance(address_or_ble_device, BLEDevice) else None
        self._device: Device | None = None
        self._transport: Transport | None = None
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._gone = asyncio.Event()
        self._requests = asyncio.Lock()  # Bumble's would send what waits for it on a link that has ended.
        self._subscribers: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """See :class:`bleak.BleakClient`."""
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """See :class:`bleak.BleakClient`."""
        return self._connection.att_mtu if self._connection is not None else att.ATT_DEFAULT_MTU

    @property
    def is_connected(self) -> bool:
        """See :class:`bleak.BleakClient`."""
        return self._connection is not None

    async def connect(self, pair: bool, **_options: Any) -> None:
        """See :class:`bleak.BleakClient`."""
        if self._connection is not None:
            raise BleakError("already connected")
        try:
            if self._peer_address is None:
                self._peer_address = await self._find()
            async with asyncio.timeout(self._timeout):
                await self._connect(self._peer_address, pair)
        except BaseException:
            await self._close()
            raise

    async def _connect(self, address: hci.Address, pair: bool) -> None:
        self._gone.clear()
        device, self._transport = await _open_adapter(self.air)
        self._device = device
        self._connection = connection = await self._guard(device.connect(address, timeout=None))
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        self._peer = Peer(connection)
        with contextlib.suppress(BleakGATTProtocolError):  # A server may have only the smallest.
            await self._request(lambda peer: peer.request_mtu(MTU))
        await self._discover()
        if pair:
            await self.pair()

    async def _find(self) -> hci.Address:
        found: asyncio.Future[hci.Address] = asyncio.get_running_loop().create_future()

        def look(device: BLEDevice, _data: AdvertisementData) -> None:
            if device.address.upper() == self.address.upper() and not found.done():
                found.set_result(device.details)

        scanner = air_backend(self.air).scanner_type(look, None)
        try:
            async with asyncio.timeout(self._timeout):
                await scanner.start()
                return await found
        except TimeoutError as error:
            raise BleakDeviceNotFoundError(self.address, f"device {self.address} is not on the air") from error
        finally:
            await scanner.stop()

    async def _discover(self) -> None:
        services = BleakGATTServiceCollection()
        for service in await self._request(lambda peer: peer.discover_services()):
            service_uuid = _text(service.uuid)
            if self._wanted_services and service_uuid not in self._wanted_services:
                continue
            ours = BleakGATTService(service, service.handle, service_uuid)
            services.add_service(ours)
            for characteristic in await self._request(functools.partial(_characteristics, service)):
                names = [name for bit, name in enumerate(_PROPERTIES) if int(characteristic.properties) >> bit & 1]
                theirs = BleakGATTCharacteristic(
                    characteristic, characteristic.handle, _text(characteristic.uuid), names, lambda: self.mtu_size - 3, ours
                )
                services.add_characteristic(theirs)
                for descriptor in await self._request(functools.partial(_descriptors, characteristic)):
                    services.add_descriptor(BleakGATTDescriptor(descriptor, descriptor.handle, _text(descriptor.type), theirs))
        self.services = services

    def _on_disconnection(self, _reason: int) -> None:
        if self._connection is None:
            return
        self._connection = self._peer = self.services = None
        self._gone.set()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        """See :class:`bleak.BleakClient`."""
        if self._connection is not None:
            with contextlib.suppress(TimeoutError, core.BaseBumbleError):
                async with asyncio.timeout(_DISCONNECT_S):
                    await kept(self._connection.disconnect())
                    await self._gone.wait()
        await self._close()

    async def _close(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.close()
        self._on_disconnection(0)
        self._device = None

    async def pair(self, *_arguments: Any, **_options: Any) -> None:
        """See :class:`bleak.BleakClient`; the device's refusal becomes a BleakError."""
        await self._guard(self._connected().pair())

    async def unpair(self) -> None:
        """Nothing to do: no bond outlives a connection here."""

    def _connected(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    async def _request(self, ask: Callable[[Peer], Awaitable[_T]]) -> _T:
        """One ATT request at a time, its errors as bleak's."""
        async with self._requests:
            self._connected()
            assert self._peer is not None
            return await self._guard(ask(self._peer))

    async def _guard(self, answer: Awaitable[_T]) -> _T:
        try:
            return await kept(answer)
        except att.ATT_Error as error:
            raise BleakGATTProtocolError(int(error.error_code)) from error
        except core.BaseBumbleError as error:
            raise BleakError(str(error) or type(error).__name__) from error
        except asyncio.CancelledError:
            # Bumble cancels the request when the link ends; a task that is cancelled itself stays so.
            task = asyncio.current_task()
            if task is not None and task.cancelling() == 0:
                raise BleakError("disconnected") from None
            raise

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_options: Any) -> bytearray:
        """See :class:`bleak.BleakClient`."""
        return bytearray(await self._request(lambda peer: peer.read_value(characteristic.handle)))

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_options: Any) -> bytearray:
        """See :class:`bleak.BleakClient`."""
        return bytearray(await self._request(lambda peer: peer.read_value(descriptor.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """See :class:`bleak.BleakClient`; a write without response waits while too many are under way."""
        value = bytes(data)
        if response:
            await self._request(lambda peer: peer.write_value(characteristic.handle, value, with_response=True))
            return
        if len(value) > self.mtu_size - 3:
            raise BleakError(f"a write without response carries {self.mtu_size - 3} bytes, not {len(value)}")
        await self._wait_for_room()
        self._connected()
        assert self._peer is not None
        await self._guard(self._peer.write_value(characteristic.handle, value, with_response=False))

    async def _wait_for_room(self) -> None:
        assert self._device is not None or self._connection is None
        queue = self._device.host.le_acl_packet_queue if self._device is not None else None
        while queue is not None and self._connection is not None and queue.pending > MAX_PENDING_WRITES:
            flowed = asyncio.Event()
            queue.once("flow", flowed.set)
            waiters = [asyncio.ensure_future(flowed.wait()), asyncio.ensure_future(self._gone.wait())]
            try:
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for waiter in waiters:
                    waiter.cancel()

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """See :class:`bleak.BleakClient`."""
        await self._request(lambda peer: peer.write_value(descriptor.handle, bytes(data), with_response=True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_options: Any) -> None:
        """See :class:`bleak.BleakClient`."""

        def subscriber(value: bytes) -> None:
            callback(bytearray(value))

        self._subscribers[characteristic.handle] = subscriber
        await self._request(lambda peer: peer.subscribe(characteristic.obj, subscriber))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """See :class:`bleak.BleakClient`."""
        subscriber = self._subscribers.pop(characteristic.handle, None)
        await self._request(lambda peer: peer.unsubscribe(characteristic.obj, subscriber))


async def _characteristics(service: ServiceProxy, _peer: Peer) -> list[CharacteristicProxy[bytes]]:
    return await service.discover_characteristics()


async def _descriptors(characteristic: CharacteristicProxy[bytes], _peer: Peer) -> list[DescriptorProxy]:
    return await characteristic.discover_descriptors()


def _text(found: core.UUID) -> str:
    return normalize_uuid_str(found.to_hex_str("-"))
