"""bleak over the air, against a peripheral of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakCharacteristicNotFoundError, BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError

from tests.support.ble_peripheral import (
    LONG_BYTES,
    LONG_VALUE,
    REFUSAL,
    REFUSING,
    SINK,
    SMP_SERVICE,
    TICKER,
    ReferencePeripheral,
    reference_peripheral,
)
from tests.support.patience import with_patience
from tinyfleet.emulator.air import Air
from tinyfleet.emulator.bleak_air import air_backend, kept

TIMEOUT_S = 30.0


@pytest.fixture
async def air() -> AsyncIterator[Air]:
    async with await Air.start() as air:
        yield air


@pytest.fixture
async def peripheral(air: Air) -> AsyncIterator[ReferencePeripheral]:
    async with reference_peripheral(air.address, name="tf-01234") as peripheral:
        yield peripheral


async def find(air: Air, name: str = "tf-01234") -> BLEDevice:
    device = await BleakScanner.find_device_by_name(name, timeout=TIMEOUT_S, backend=air_backend(air.address).scanner_type)
    assert device is not None
    return device


def client_of(air: Air, device: BLEDevice | str, **options: object) -> BleakClient:
    return BleakClient(device, backend=air_backend(air.address).client_type, **options)  # type: ignore[arg-type]


async def test_scan_finds_name_and_service_and_filters(air: Air, peripheral: ReferencePeripheral) -> None:
    scanner_type = air_backend(air.address).scanner_type

    async def attempt(patience: float) -> None:
        timeout = 0.3 * patience
        found = await BleakScanner.discover(timeout=timeout, return_adv=True, backend=scanner_type)
        assert list(found) == [peripheral.address]
        device, data = found[peripheral.address]
        assert (device.name, data.local_name, data.service_uuids) == ("tf-01234", "tf-01234", [SMP_SERVICE])
        assert await BleakScanner.discover(timeout=timeout, service_uuids=["180a"], backend=scanner_type) == []
        assert len(await BleakScanner.discover(timeout=timeout, service_uuids=[SMP_SERVICE], backend=scanner_type)) == 1

    await with_patience(attempt)


async def test_passive_scan_gets_no_scan_response(air: Air, peripheral: ReferencePeripheral) -> None:
    scanner = BleakScanner(scanning_mode="passive", backend=air_backend(air.address).scanner_type)
    async with scanner:
        async with asyncio.timeout(TIMEOUT_S):
            async for device, data in scanner.advertisement_data():
                assert (device.name, data.service_uuids) == (None, [SMP_SERVICE])
                break


async def test_read_write_and_errors(air: Air, peripheral: ReferencePeripheral) -> None:
    async with client_of(air, await find(air)) as client:
        assert client.mtu_size == 247
        assert bytes(await client.read_gatt_char(LONG_VALUE)) == LONG_BYTES
        await client.write_gatt_char(SINK, b"with response", response=True)
        await client.write_gatt_char(SINK, b"x" * 244, response=False)
        await client.write_gatt_char(SINK, b"y" * 500, response=True)  # Becomes prepared writes.
        assert peripheral.written == [b"with response", b"x" * 244, b"y" * 500]
        with pytest.raises(BleakError, match="carries 244 bytes, not 245"):
            await client.write_gatt_char(SINK, b"x" * 245, response=False)
        for attempt in (lambda: client.read_gatt_char(REFUSING), lambda: client.write_gatt_char(REFUSING, b"!", response=True)):
            with pytest.raises(BleakGATTProtocolError) as caught:
                await attempt()
            assert caught.value.args[0] == REFUSAL
        with pytest.raises(BleakCharacteristicNotFoundError):
            await client.read_gatt_char("6e0a0099-0000-4000-8000-00000000ab1e")
        assert bytes(await client.read_gatt_char(TICKER)) == b"tick"


async def test_a_thousand_writes_without_response_arrive_in_order(air: Air, peripheral: ReferencePeripheral) -> None:
    sent = [index.to_bytes(4, "big") * 61 for index in range(1000)]
    async with client_of(air, await find(air)) as client:
        for value in sent:
            await client.write_gatt_char(SINK, value, response=False)
            queue = client._backend._device.host.le_acl_packet_queue  # type: ignore[attr-defined]
            assert queue.pending <= 17
        await client.read_gatt_char(TICKER)
        assert peripheral.written == sent


async def test_writer_that_waits_for_room_hears_of_the_loss_of_the_link(air: Air, peripheral: ReferencePeripheral) -> None:
    async with client_of(air, await find(air)) as client:
        air.faults.withhold_credits = True

        async def write_on() -> None:
            while True:
                await client.write_gatt_char(SINK, b"x" * 200, response=False)

        writer = asyncio.create_task(write_on())
        done, _ = await asyncio.wait([writer], timeout=0.3)
        assert not done
        assert air.lose_links() == 1
        with pytest.raises(BleakError, match="Not connected"):
            await writer


async def test_withheld_credits_come_back(air: Air, peripheral: ReferencePeripheral) -> None:
    async with client_of(air, await find(air)) as client:
        faults = air.faults
        faults.withhold_credits = True
        writer = asyncio.gather(*(client.write_gatt_char(SINK, bytes([index]), response=False) for index in range(40)))
        await asyncio.wait([writer], timeout=0.2)
        assert not writer.done()
        assert len(peripheral.written) == faults.credits
        faults.withhold_credits = False
        air.faults = faults
        await writer
        await client.read_gatt_char(TICKER)
        assert peripheral.written == [bytes([index]) for index in range(40)]


async def test_notifications_arrive_until_they_are_stopped(air: Air, peripheral: ReferencePeripheral) -> None:
    got: list[bytes] = []
    arrived = asyncio.Event()

    def take(_characteristic: object, value: bytearray) -> None:
        got.append(bytes(value))
        if len(got) == 50:
            arrived.set()

    async with client_of(air, await find(air)) as client:
        await client.start_notify(TICKER, take)
        for index in range(50):
            await peripheral.notify(bytes([index]) * 200)
        await asyncio.wait_for(arrived.wait(), TIMEOUT_S)
        await client.stop_notify(TICKER)
        await peripheral.notify(b"unheard")
        await client.read_gatt_char(TICKER)
        assert got == [bytes([index]) * 200 for index in range(50)]


async def test_disconnect_and_connect_again(air: Air, peripheral: ReferencePeripheral) -> None:
    gone: list[str] = []
    device = await find(air)
    client = client_of(air, device, disconnected_callback=lambda client: gone.append(client.address))
    for round_number in (1, 2, 3):
        await client.connect()
        assert client.is_connected
        assert air.advertisers == []
        await client.disconnect()
        assert not client.is_connected
        assert gone == [device.address] * round_number
        assert not peripheral.device.connections
    async with client_of(air, peripheral.address) as by_address:
        assert by_address.is_connected


async def test_link_loss_ends_a_read_that_waits(air: Air, peripheral: ReferencePeripheral) -> None:
    gone = asyncio.Event()
    client = client_of(air, await find(air), disconnected_callback=lambda _: gone.set())
    await client.connect()
    air.faults.delay_ms = 60_000
    reads = [asyncio.create_task(client.read_gatt_char(TICKER)) for _ in range(3)]
    done, _ = await asyncio.wait(reads, timeout=0.1)
    assert not done
    assert air.lose_links() == 1
    async with asyncio.timeout(TIMEOUT_S):  # and not when the answers would come
        for read in reads:
            with pytest.raises(BleakError):
                await read
        await gone.wait()
    assert not client.is_connected


async def test_connection_refused_by_nobody_times_out_and_the_next_works(air: Air, peripheral: ReferencePeripheral) -> None:
    device = await find(air)
    await peripheral.device.stop_advertising()
    with pytest.raises(TimeoutError):
        await client_of(air, device, timeout=0.3).connect()
    with pytest.raises(BleakDeviceNotFoundError):
        await client_of(air, device.address, timeout=0.3).connect()
    await peripheral.advertise("tf-01234")
    async with client_of(air, device) as client:
        assert client.is_connected


async def test_no_air_is_one_clear_error() -> None:
    with pytest.raises(BleakError, match=r"no air at 127\.0\.0\.1:1: "):
        await BleakScanner.discover(timeout=0.1, backend=air_backend("127.0.0.1:1").scanner_type)


async def test_the_end_of_the_air_is_a_disconnection(air: Air, peripheral: ReferencePeripheral) -> None:
    gone = asyncio.Event()
    client = client_of(air, await find(air), disconnected_callback=lambda _: gone.set())
    await client.connect()
    await air.close()
    await asyncio.wait_for(gone.wait(), TIMEOUT_S)
    assert not client.is_connected
    with pytest.raises(BleakError):
        await client.read_gatt_char(TICKER)
    await client.disconnect()


async def test_a_deadline_that_passes_together_with_an_answer_is_not_lost() -> None:
    """Python 3.11's wait_for, within which Bumble asks, took such a cancellation for nothing: a search for a board had no end."""
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    went_on = False

    async def ask() -> None:
        nonlocal went_on
        await kept(asyncio.wait_for(answered, TIMEOUT_S))
        went_on = True

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    answered.set_result("late")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not went_on
