"""The air itself: raw HCI, its command, and what goes wrong on purpose."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import fields
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
from bumble.core import AdvertisingData
from bumble.device import AdvertisingType
from bumble.hci import OwnAddressType

from tests.support.ble_peripheral import LONG_BYTES, LONG_VALUE, SINK, TICKER, ReferencePeripheral, reference_peripheral
from tests.support.patience import with_patience
from tinyfleet.emulator.air import Air, AirFaults, load_faults, serve_air
from tinyfleet.emulator.bleak_air import air_backend
from tinyfleet_codegen.errors import ConfigError, SetupError

TIMEOUT_S = 30.0
ROUNDS = 3
"""Times that something takes: a stall makes one longer, hardly all."""
RESET = bytes.fromhex("01030c00")
RESET_DONE = bytes.fromhex("040e0401030c00")


@pytest.fixture
async def air() -> AsyncIterator[Air]:
    async with await Air.start() as air:
        yield air


@pytest.fixture
async def peripheral(air: Air) -> AsyncIterator[ReferencePeripheral]:
    async with reference_peripheral(air.address, name="tf-01234") as peripheral:
        yield peripheral


async def connected(air: Air) -> BleakClient:
    backend = air_backend(air.address)
    device = await BleakScanner.find_device_by_name("tf-01234", timeout=TIMEOUT_S, backend=backend.scanner_type)
    assert isinstance(device, BLEDevice)
    client = BleakClient(device, backend=backend.client_type)
    await client.connect()
    return client


async def raw(air: Air) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = air.address.partition(":")
    return await asyncio.open_connection(host, int(port))


async def ask(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], command: str) -> bytes:
    """One HCI command, as hexadecimal; the next event."""
    reader, writer = streams
    writer.write(bytes.fromhex(command))
    head = await asyncio.wait_for(reader.readexactly(3), TIMEOUT_S)
    return head + await reader.readexactly(head[2])


async def test_a_reset_is_answered_byte_by_byte_too(air: Air) -> None:
    reader, writer = await raw(air)
    for byte in RESET:
        writer.write(bytes([byte]))
        await writer.drain()
    assert await asyncio.wait_for(reader.readexactly(len(RESET_DONE)), TIMEOUT_S) == RESET_DONE
    writer.close()


async def test_what_is_not_h4_closes_the_connection(air: Air) -> None:
    reader, writer = await raw(air)
    writer.write(b"\xee\x00\x00")
    assert await asyncio.wait_for(reader.read(1), TIMEOUT_S) == b""
    writer.close()


@pytest.mark.parametrize(("acl_bytes", "count"), [(251, 8), (27, 2)])
async def test_buffers_are_those_of_the_faults(air: Air, acl_bytes: int, count: int) -> None:
    air.faults = AirFaults(acl_bytes=acl_bytes, credits=count)
    streams = await raw(air)
    assert await ask(streams, RESET.hex()) == RESET_DONE
    assert await ask(streams, "01022000") == bytes.fromhex("040e0701022000") + acl_bytes.to_bytes(2, "little") + bytes([count])
    streams[1].close()


async def test_cancelled_connection_is_reported_and_the_next_may_begin(air: Air) -> None:
    streams = await raw(air)
    create = "010d2019" + "6000600000" + "01" + "c6c5c4c3c2c1" + "01" + "1800" + "2800" + "0000" + "c800" + "0000" + "0000"
    assert await ask(streams, "010e2000") == bytes.fromhex("040e04010e200c")  # Nothing to cancel: disallowed.
    for _ in range(2):
        assert await ask(streams, create) == bytes.fromhex("040f0400010d20")
        assert await ask(streams, create) == bytes.fromhex("040f040c010d20")  # One at a time.
        assert await ask(streams, "010e2000") == bytes.fromhex("040e04010e2000")
        reader = streams[0]
        head = await asyncio.wait_for(reader.readexactly(3), TIMEOUT_S)
        event = await reader.readexactly(head[2])
        assert (head[1], event[0], event[1]) == (0x3E, 0x01, 0x02)  # LE Connection Complete: unknown connection.
    streams[1].close()


async def test_reset_of_the_peripheral_is_the_loss_of_the_link(air: Air, peripheral: ReferencePeripheral) -> None:
    client = await connected(air)
    gone = asyncio.Event()
    client._backend.set_disconnected_callback(gone.set)
    peripheral.device.host.send_hci_packet(_Raw(RESET))  # type: ignore[arg-type]
    await asyncio.wait_for(gone.wait(), TIMEOUT_S)
    assert air.advertisers == []
    assert not client.is_connected
    await client.disconnect()


class _Raw:
    def __init__(self, packet: bytes) -> None:
        self._packet = packet

    def __bytes__(self) -> bytes:
        return self._packet


async def test_end_of_the_peripherals_process_is_the_loss_of_the_link(air: Air) -> None:
    gone = asyncio.Event()
    async with reference_peripheral(air.address, name="tf-01234"):
        client = await connected(air)
        client._backend.set_disconnected_callback(gone.set)
    await asyncio.wait_for(gone.wait(), TIMEOUT_S)
    await client.disconnect()


async def test_peripheral_with_a_public_address_gets_and_sends_packets(air: Air, peripheral: ReferencePeripheral) -> None:
    device = peripheral.device
    await device.stop_advertising()
    name = bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, b"tf-01234")]))
    await device.start_advertising(
        AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE, own_address_type=OwnAddressType.PUBLIC, advertising_data=name
    )
    client = await connected(air)
    assert client.address == device.public_address.to_string(False)
    await client.write_gatt_char(SINK, b"there", response=True)
    assert peripheral.written == [b"there"]
    await client.disconnect()


async def test_only_one_of_two_centrals_gets_the_peripheral(air: Air, peripheral: ReferencePeripheral) -> None:
    backend = air_backend(air.address)

    async def attempt(patience: float) -> None:
        before = air.counts.links
        clients = [BleakClient(peripheral.address, backend=backend.client_type, timeout=2.0 * patience) for _ in range(2)]
        try:
            results = await asyncio.gather(*(client.connect() for client in clients), return_exceptions=True)
            kinds = sorted(type(result).__name__ for result in results)
            assert kinds in (["NoneType", "TimeoutError"], ["BleakDeviceNotFoundError", "NoneType"])
            assert sum(client.is_connected for client in clients) == 1
            assert air.counts.links == before + 1
        finally:
            for client in clients:
                await client.disconnect()

    await with_patience(attempt)


async def test_eight_links_at_once(air: Air) -> None:
    async with AsyncExitStack() as stack:
        peripherals = [await stack.enter_async_context(reference_peripheral(air.address, name=f"tf-{number}")) for number in range(8)]
        clients = [BleakClient(one.address, backend=air_backend(air.address).client_type) for one in peripherals]
        await asyncio.gather(*(client.connect() for client in clients))
        await asyncio.gather(*(client.write_gatt_char(SINK, bytes([i]) * 100, response=True) for i, client in enumerate(clients)))
        assert [one.written for one in peripherals] == [[bytes([i]) * 100] for i in range(8)]
        await asyncio.gather(*(client.disconnect() for client in clients))
        assert all(not one.device.connections for one in peripherals)


@pytest.mark.parametrize("acl_bytes", [27, 64])
async def test_small_buffers_carry_everything(air: Air, acl_bytes: int) -> None:
    air.faults = AirFaults(acl_bytes=acl_bytes, credits=2)
    async with reference_peripheral(air.address, name="tf-01234") as peripheral:
        client = await connected(air)
        host, sizes = client._backend._device.host, []  # type: ignore[attr-defined]
        take = host.on_hci_acl_data_packet
        host.on_hci_acl_data_packet = lambda packet: (sizes.append(packet.data_total_length), take(packet))
        values = [bytes([index]) * 240 for index in range(50)]
        for value in values:
            await client.write_gatt_char(SINK, value, response=False)
        assert bytes(await client.read_gatt_char(LONG_VALUE)) == LONG_BYTES
        assert peripheral.written == values
        assert max(sizes) == acl_bytes
        await client.disconnect()


async def test_mtu_23(air: Air, peripheral: ReferencePeripheral) -> None:
    air.faults = AirFaults(att_mtu=23)
    client = await connected(air)
    assert client.mtu_size == 23
    assert bytes(await client.read_gatt_char(LONG_VALUE)) == LONG_BYTES
    got: list[bytes] = []
    await client.start_notify(TICKER, lambda _, value: got.append(bytes(value)))
    await peripheral.notify(b"n" * 100)
    await client.read_gatt_char(TICKER)
    assert got == [b"n" * 20]
    await client.disconnect()


async def write_through_faults(air: Air, sent: list[bytes]) -> None:
    client = await connected(air)
    air.faults = AirFaults(seed=7, drop=0.1, duplicate=0.1, late=0.1)
    for value in sent:
        await client.write_gatt_char(SINK, value, response=False)
    await client.read_gatt_char(TICKER)  # Behind all of them.
    air.faults = AirFaults()
    await client.disconnect()


async def test_dropped_duplicated_and_late_writes_are_as_counted(air: Air, peripheral: ReferencePeripheral) -> None:
    sent = [index.to_bytes(2, "big") for index in range(400)]
    await write_through_faults(air, sent)
    counts, got = air.counts, list(peripheral.written)
    assert min(counts.dropped, counts.duplicated, counts.late) > 10
    assert len(sent) - len(set(got)) == counts.dropped
    assert len(got) == len(sent) - counts.dropped + counts.duplicated
    assert got != sorted(got)
    # The same seed, the same packets, the same faults. What waits for another to overtake it does not wait for long:
    # a machine that stands still just then keeps its place.
    orders = [got]
    while orders.count(orders[-1]) < 2:
        assert len(orders) <= ROUNDS, orders
        peripheral.written.clear()
        await write_through_faults(air, sent)
        orders.append(list(peripheral.written))
        assert sorted(orders[-1]) == sorted(got)


async def test_requests_are_never_dropped(air: Air, peripheral: ReferencePeripheral) -> None:
    air.faults = AirFaults(drop=1.0, drop_advertisements=0.5)
    client = await connected(air)
    await client.write_gatt_char(SINK, b"lost", response=False)
    await client.write_gatt_char(SINK, b"kept", response=True)
    assert peripheral.written == [b"kept"]
    await client.disconnect()


async def test_delay_keeps_the_order(air: Air, peripheral: ReferencePeripheral) -> None:
    client = await connected(air)
    air.faults = AirFaults(delay_ms=150, jitter_ms=20)
    sent = [bytes([index]) for index in range(30)]
    for value in sent:
        await client.write_gatt_char(SINK, value, response=False)
    for _ in range(ROUNDS):
        started = asyncio.get_running_loop().time()
        await client.read_gatt_char(TICKER)
        assert asyncio.get_running_loop().time() - started >= 0.3
    assert peripheral.written == sent
    await client.disconnect()


async def test_late_credits_slow_the_writer_down(air: Air, peripheral: ReferencePeripheral) -> None:
    client = await connected(air)
    air.faults = AirFaults(credit_delay_ms=20)
    for number in range(ROUNDS):
        started = asyncio.get_running_loop().time()
        for index in range(40):
            await client.write_gatt_char(SINK, bytes([index]), response=False)
        await client.read_gatt_char(TICKER)
        assert len(peripheral.written) == 40 * (number + 1)
        assert asyncio.get_running_loop().time() - started >= 0.020 * 4  # 41 packets, 8 buffers.
    await client.disconnect()


@pytest.mark.parametrize("loss_bytes", [0, 40, 700])
async def test_link_is_lost_at_the_byte_and_the_next_one_lives(air: Air, peripheral: ReferencePeripheral, loss_bytes: int) -> None:
    client = await connected(air)
    lost: list[int] = []
    gone = asyncio.Event()
    client._backend.set_disconnected_callback(gone.set)
    peripheral.device.on("disconnection", lambda *_: lost.append(1))
    air.faults = AirFaults(link_loss_after_bytes=[loss_bytes])
    before = air.counts.carried_bytes
    with pytest.raises(BleakError):
        for _ in range(100):
            await client.write_gatt_char(SINK, b"x" * 10, response=True)
    assert loss_bytes - 22 < air.counts.carried_bytes - before <= loss_bytes
    await asyncio.wait_for(gone.wait(), TIMEOUT_S)
    assert air.counts.links_lost == 1
    assert air.faults.link_loss_after_bytes == []
    client = await connected(air)
    await client.write_gatt_char(SINK, b"again", response=True)
    await client.disconnect()


async def test_silence_ends_with_the_supervision_time_out(air: Air, peripheral: ReferencePeripheral) -> None:
    async def attempt(patience: float) -> None:
        peripheral.written.clear()
        client = await connected(air)
        gone = asyncio.Event()
        client._backend.set_disconnected_callback(gone.set)
        air.faults = AirFaults(silence_after_bytes=[50], supervision_timeout_s=0.3 * patience)
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(BleakError):
            for _ in range(100):
                await client.write_gatt_char(SINK, b"x" * 10, response=True)
        assert 0.25 * patience <= loop.time() - started < 3 * patience
        assert gone.is_set()
        assert len(peripheral.written) < 5

    await with_patience(attempt)


def test_faults_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("seed = 3\ndrop = 0.25\nlink_loss_after_bytes = [100, 200]\natt_mtu = 23\nwithhold_credits = true\n")
    assert load_faults(path) == AirFaults(seed=3, drop=0.25, link_loss_after_bytes=[100, 200], att_mtu=23, withhold_credits=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drop = 2", "drop must be a share between 0 and 1, not 2"),
        ("att_mtu = 22", "att_mtu must be 23 to 517, not 22"),
        ("acl_bytes = 26", "acl_bytes must be 27 to 251, not 26"),
        ("credits = 0", "credits must be 1 to 64, not 0"),
        ("delay_ms = '5'", "delay_ms must be a number >= 0, not '5'"),
        ("silence_after_bytes = 5", "silence_after_bytes must be a list of counts, not 5"),
        ("drops = 1", "unknown key 'drops'"),
        ("= 1", "is not TOML"),
    ],
)
def test_bad_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_faults(path)


def test_taken_port_is_one_clear_error() -> None:
    with serve_air() as air, pytest.raises(SetupError, match="cannot listen on 127"), serve_air(port=int(air.address.split(":")[1])):
        pass


def test_command_serves_reloads_its_faults_and_ends_in_order(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text("acl_bytes = 100\n")
    command = [sys.executable, "-P", "-m", "tinyfleet", "air", "serve", "--json", "--faults", str(faults)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        host, _, port = json.loads(process.stdout.readline())["air"].partition(":")

        async def buffer_bytes() -> int:
            streams = await asyncio.open_connection(host, int(port))
            await ask(streams, RESET.hex())
            answer = await ask(streams, "01022000")
            streams[1].close()
            return int.from_bytes(answer[7:9], "little")

        assert asyncio.run(buffer_bytes()) == 100
        faults.write_text("acl_bytes = 10\n")
        os.kill(process.pid, signal.SIGHUP)
        assert "acl_bytes must be 27 to 251, not 10; the faults stay as they were" in process.stderr.readline()
        faults.write_text("acl_bytes = 27\n")
        os.kill(process.pid, signal.SIGHUP)

        assert any(asyncio.run(buffer_bytes()) == 27 for _ in range(500))  # The signal may come after some of them.
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr.read() == ""


def test_without_bumble_one_line_says_what_to_install() -> None:
    hide = "import sys; sys.modules['bumble'] = None; from tinyfleet.cli.app import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-P", "-c", hide, "air", "serve"], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the air needs the package bumble\n  hint: pip install 'tinyfleet[sim]'\n"


def test_guide_has_every_fault_and_its_default() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "ble.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", guide, flags=re.MULTILINE))
    defaults = {entry.name: getattr(AirFaults(), entry.name) for entry in fields(AirFaults)}
    assert rows == {name: "none" if value is None else str(value).lower() for name, value in defaults.items()}
