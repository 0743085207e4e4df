"""Somebody else's Bluetooth LE peripheral: Bumble's host and GATT server, to check our host side against.

It has the SMP service, whose messages go to a function of the test (as raw messages, put together by the length in their header), and a
service of plain characteristics: a long value, one to write, one that notifies, and one that refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bumble import att, hci
from bumble.core import UUID, AdvertisingData
from bumble.device import AdvertisingType, Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.transport.common import TransportLostError
from bumble.transport.tcp_client import open_tcp_client_transport
from smp import header as smp_header
from smp import os_management as smp_os

from tinyfleet.link.reassembly import Reassembly

SMP_SERVICE = "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
SMP_CHARACTERISTIC = "da2e7828-fbce-4e01-ae9e-261174997c48"
PLAIN_SERVICE = "6e0a0001-0000-4000-8000-00000000ab1e"
LONG_VALUE = "6e0a0002-0000-4000-8000-00000000ab1e"
SINK = "6e0a0003-0000-4000-8000-00000000ab1e"
TICKER = "6e0a0004-0000-4000-8000-00000000ab1e"
REFUSING = "6e0a0005-0000-4000-8000-00000000ab1e"
LONG_BYTES = bytes(range(200)) * 2
REFUSAL = 0x80
"""Application error that REFUSING answers with."""
BUFFER_BYTES = 1024

Answer = Callable[[bytes], bytes | None]
"""From a whole SMP request to the whole reply, or None for no reply."""


class ReferencePeripheral:
    """A peripheral on the air.

    Attributes:
        address: Its own, as a scanner sees it.
        written: What was written to SINK, in order.
        requests: SMP requests so far, whole.
        swallow: How many of the next pieces of requests get lost.
        noise: A notification that comes before each SMP reply; empty: none.
        piece_bytes: Most bytes of a reply in one notification; None: what fits.
        device: Bumble's.
    """

    def __init__(self, device: Device, answer: Answer) -> None:
        self.device = device
        self.address = device.static_address.to_string(False)
        self.written: list[bytes] = []
        self.requests: list[bytes] = []
        self._answer = answer
        self.swallow = 0
        self.noise = b""
        self.piece_bytes: int | None = None
        self._partials: dict[int, Reassembly] = {}
        kinds, readable, writeable = Characteristic.Properties, Characteristic.READABLE, Characteristic.WRITEABLE
        self._smp = Characteristic(
            SMP_CHARACTERISTIC, kinds.WRITE_WITHOUT_RESPONSE | kinds.NOTIFY, writeable, CharacteristicValue(write=self._take_smp)
        )
        self.ticker = Characteristic(TICKER, kinds.NOTIFY | kinds.READ, readable, b"tick")
        device.add_services(
            [
                Service(SMP_SERVICE, [self._smp]),
                Service(
                    PLAIN_SERVICE,
                    [
                        Characteristic(LONG_VALUE, kinds.READ, readable, LONG_BYTES),
                        Characteristic(
                            SINK, kinds.WRITE | kinds.WRITE_WITHOUT_RESPONSE, writeable, CharacteristicValue(write=self._take_plain)
                        ),
                        self.ticker,
                        Characteristic(
                            REFUSING,
                            kinds.READ | kinds.WRITE,
                            readable | writeable,
                            CharacteristicValue(read=_refuse_read, write=_refuse_write),
                        ),
                    ],
                ),
            ]
        )

    def _take_plain(self, _connection: Connection, value: bytes) -> None:
        self.written.append(bytes(value))

    async def _take_smp(self, connection: Connection, value: bytes) -> None:
        if self.swallow:
            self.swallow -= 1
            return
        most = connection.att_mtu - 3
        partial = self._partials.setdefault(connection.handle, Reassembly())
        for message in partial.feed(value, asyncio.get_running_loop().time()):
            self.requests.append(message)
            reply = self._answer(message)
            if reply is None:
                continue
            size = min(most, self.piece_bytes or most)
            pieces = [self.noise[start : start + most] for start in range(0, len(self.noise), most)]
            pieces += [reply[start : start + size] for start in range(0, len(reply), size)]
            for piece in pieces:
                await self.device.notify_subscriber(connection, self._smp, piece)

    async def drop(self) -> None:
        """End the connections from this side."""
        for connection in list(self.device.connections.values()):
            await connection.disconnect()

    async def notify(self, value: bytes) -> None:
        """Send a notification of TICKER to whoever subscribed."""
        await self.device.notify_subscribers(self.ticker, value)

    async def advertise(self, name: str) -> None:
        """Advertise flags, the SMP service and the name, as our boards do; what does not fit goes into the scan response."""
        flags = AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE | AdvertisingData.Flags.BR_EDR_NOT_SUPPORTED
        advertised = AdvertisingData(
            [
                (AdvertisingData.FLAGS, bytes([flags])),
                (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(UUID(SMP_SERVICE))),
            ]
        )
        named = AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, name.encode())])
        await self.device.start_advertising(
            AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
            auto_restart=True,
            advertising_data=bytes(advertised),
            scan_response_data=bytes(named),
            advertising_interval_min=30.0,
            advertising_interval_max=30.0,
        )


def _refuse_read(_connection: Connection) -> bytes:
    raise att.ATT_Error(REFUSAL)


def _refuse_write(_connection: Connection, _value: bytes) -> None:
    raise att.ATT_Error(REFUSAL)


def answer_os_group(request: bytes) -> bytes | None:
    """A small SMP server: echo and parameters, by the messages of the ``smp`` package; everything else is "not supported"."""
    header = smp_header.Header.loads(request[: smp_header.Header.SIZE])
    commands = smp_header.CommandId.OSManagement
    if header.group_id == smp_header.GroupId.OS_MANAGEMENT and header.command_id == commands.ECHO:
        echo = smp_os.EchoWriteRequest.loads(request)
        return bytes(smp_os.EchoWriteResponse(sequence=header.sequence, version=header.version, r=echo.d))
    if header.group_id == smp_header.GroupId.OS_MANAGEMENT and header.command_id == commands.MCUMGR_PARAMETERS:
        return bytes(
            smp_os.MCUMgrParametersReadResponse(sequence=header.sequence, version=header.version, buf_size=BUFFER_BYTES, buf_count=4)
        )
    body = b"\xa1\x62rc\x08"
    op = smp_header.OP.READ_RSP if header.op == smp_header.OP.READ else smp_header.OP.WRITE_RSP
    return bytes([op | header.version << 3, 0]) + len(body).to_bytes(2, "big") + request[4:8] + body


@asynccontextmanager
async def reference_peripheral(
    air: str, *, name: str = "tf-refer", answer: Answer = answer_os_group, address: str | None = None
) -> AsyncIterator[ReferencePeripheral]:
    """Put one on the air at ``HOST:PORT``; it advertises, also after each disconnection.

    Args:
        air: Where.
        name: What it is called.
        answer: Answers SMP requests.
        address: Random static address, ``F0:...``; None: a new one.
    """
    transport = await open_tcp_client_transport(air)
    try:
        own = hci.Address(address) if address else hci.Address.generate_static_address()
        device = Device.with_hci(name, own, transport.source, transport.sink)
        peripheral = ReferencePeripheral(device, answer)
        await device.power_on()
        await peripheral.advertise(name)
        yield peripheral
        # Waits for the command that is under way; there may be no air any more to answer it.
        with contextlib.suppress(TransportLostError, TimeoutError):
            async with asyncio.timeout(0.5):
                await device.power_off()
    finally:
        await transport.close()
