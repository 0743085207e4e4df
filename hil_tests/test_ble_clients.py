"""A board in the air against the Bluetooth host and the management client of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import smpclient.transport.ble
from bleak import BleakClient, BleakScanner
from bumble import att, hci, l2cap
from bumble.core import UUID, BaseBumbleError
from bumble.device import Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.pairing import PairingConfig
from bumble.transport.tcp_client import open_tcp_client_transport
from smp import header as smp_header
from smp import os_management as smp_os
from smp.error import MGMT_ERR
from smpclient import SMPClient
from smpclient.exceptions import SMPUploadError
from smpclient.generics import error, success
from smpclient.requests.image_management import ImageStatesRead, ImageUploadWrite
from smpclient.requests.os_management import EchoWrite, MCUMgrParametersRead
from smpclient.transport.ble import SMPBLETransport

from hil_tests.conftest import BOARD, Updatable, small_package
from tinyfleet.bench.ble import wait_until_advertising
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.emulator.air import AirFaults, ThreadedAir, serve_air
from tinyfleet.emulator.bleak_air import air_backend
from tinyfleet.image import ImageFacts, read_image, sign_firmware, write_factory_slot
from tinyfleet.platformio_build import FirmwareBuild, build_firmware
from tinyfleet.platformio_build.signed import BOOTLOADER
from tinyfleet.signing_keys import SigningKeys, keys_header, new_keys
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.wire.ble import MANAGEMENT_SERVICE_UUID, MANAGEMENT_UUID, TELEMETRY_SERVICE_UUID, TELEMETRY_UUID, name_of

TIMEOUT_S = 40.0


@dataclass(frozen=True, slots=True)
class OpenBuild:
    """A development build whose management is open in the air."""

    keys: SigningKeys
    bootloader: FirmwareBuild
    program: FirmwareBuild


@pytest.fixture(scope="module")
def open_build(tmp_path_factory: pytest.TempPathFactory) -> OpenBuild:
    """Of slot 0 alone; other keys than development keys are refused by the build."""
    folder = tmp_path_factory.mktemp("open")
    keys = new_keys(folder / "keys", is_release=False)
    compile_model(small_package(), BOARD, folder / "model")
    (folder / "model" / "model_config.h").write_text("#define TYF_CFG_RADIO_OPEN 1\n", encoding="utf-8")
    bootloader = build_firmware(BOARD, None, folder / BOOTLOADER, app=BOOTLOADER, keys_header=keys_header(keys), name=BOOTLOADER)
    program = build_firmware(BOARD, folder / "model", folder, area="slot_0", keys_header=keys_header(keys))
    return OpenBuild(keys, bootloader, program)


# Somebody else's host against our peripheral


@asynccontextmanager
async def central(air: ThreadedAir, board: EmulatedBoard, *, address: str = "F1:00:00:00:00:01") -> AsyncIterator[Connection]:
    """Bumble's host, connected to the board."""
    transport = await open_tcp_client_transport(air.address)
    try:
        device = Device.with_hci("central", hci.Address(address), transport.source, transport.sink)
        await device.power_on()
        yield await device.connect(await _address_of(device, name_of(board.device_id)), timeout=TIMEOUT_S)
    finally:
        await transport.close()


async def _address_of(device: Device, name: str) -> hci.Address:
    found: asyncio.Future[hci.Address] = asyncio.get_running_loop().create_future()

    def look(advertisement: Any) -> None:
        names = [value for kind, value in advertisement.data.ad_structures if kind == 0x09]
        if names == [name.encode()] and not found.done():
            found.set_result(advertisement.address)

    device.on(device.EVENT_ADVERTISEMENT, look)
    await device.start_scanning(filter_duplicates=False)
    try:
        return await asyncio.wait_for(found, TIMEOUT_S)
    finally:
        await device.stop_scanning()


async def _peer(connection: Connection, mtu: int | None = 247) -> Peer:
    peer = Peer(connection)
    if mtu is not None:
        assert await peer.request_mtu(mtu) == max(23, min(mtu, 247))
    await peer.discover_all()
    return peer


def _characteristic(peer: Peer, uuid: Any) -> CharacteristicProxy[bytes]:
    (found,) = peer.get_characteristics_by_uuid(UUID(str(uuid) if not isinstance(uuid, int) else f"{uuid:04X}"))
    return found


class _Replies:
    """Puts replies together from notifications."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._whole: asyncio.Queue[bytes] = asyncio.Queue()
        self.pieces: list[int] = []

    def feed(self, piece: bytes) -> None:
        self.pieces.append(len(piece))
        self._data += piece
        while len(self._data) >= 8 and len(self._data) >= 8 + int.from_bytes(self._data[2:4], "big"):
            size = 8 + int.from_bytes(self._data[2:4], "big")
            self._whole.put_nowait(bytes(self._data[:size]))
            del self._data[:size]

    async def next(self) -> bytes:
        return await asyncio.wait_for(self._whole.get(), TIMEOUT_S)


async def echo(peer: Peer, replies: _Replies, text: str) -> str:
    """One echo over the management characteristic, in pieces of the MTU."""
    request = bytes(smp_os.EchoWriteRequest(sequence=1, d=text))
    characteristic = _characteristic(peer, MANAGEMENT_UUID)
    step = peer.connection.att_mtu - 3
    for start in range(0, len(request), step):
        await characteristic.write_value(request[start : start + step], with_response=False)
    reply = await replies.next()
    assert smp_header.Header.loads(reply[:8]).sequence == 1
    return smp_os.EchoWriteResponse.loads(reply).r


async def test_bumble_central_finds_services_and_reads_what_they_say(
    air: ThreadedAir, start_in: Callable[[ThreadedAir], EmulatedBoard]
) -> None:
    board = start_in(air)
    async with central(air, board) as connection:
        peer = await _peer(connection)
        services = [str(service.uuid.to_hex_str("-")).lower() for service in peer.services]
        assert services == ["1800", "1801", str(MANAGEMENT_SERVICE_UUID), str(TELEMETRY_SERVICE_UUID), "180a"]
        said = {uuid: bytes(await _characteristic(peer, uuid).read_value()) for uuid in (0x2A00, 0x2A24, 0x2A25, 0x2A29)}
        assert said == {
            0x2A00: name_of(board.device_id).encode(),
            0x2A24: BOARD.encode(),
            0x2A25: board.device_id.hex().encode(),
            0x2A29: b"tinyfleet",
        }
        assert int(_characteristic(peer, MANAGEMENT_UUID).properties) == 0x04 | 0x10
        assert int(_characteristic(peer, TELEMETRY_UUID).properties) == 0x10


@pytest.mark.parametrize(("mtu", "acl_bytes"), [(247, 251), (247, 27), (100, 27), (None, 251), (512, 251)])
async def test_bumble_central_manages_with_every_mtu_and_buffer_size(
    air: ThreadedAir, start_in: Callable[[ThreadedAir], EmulatedBoard], mtu: int | None, acl_bytes: int
) -> None:
    air.faults = AirFaults(acl_bytes=acl_bytes, credits=2 if acl_bytes == 27 else 8)
    board = start_in(air)
    async with central(air, board) as connection:
        peer = await _peer(connection, mtu)
        replies = _Replies()
        await _characteristic(peer, MANAGEMENT_UUID).subscribe(replies.feed)
        for size in (0, 1, 19, 20, 21, 200, 240, 241, 1500):
            assert await echo(peer, replies, "x" * size) == "x" * size
        assert max(replies.pieces) == (247 if mtu == 512 else mtu or 23) - 3


async def test_bumble_central_is_refused_as_the_specification_says(
    air: ThreadedAir, start_in: Callable[[ThreadedAir], EmulatedBoard]
) -> None:
    board = start_in(air)
    async with central(air, board) as connection:
        peer = await _peer(connection)
        management, name = _characteristic(peer, MANAGEMENT_UUID), _characteristic(peer, 0x2A00)
        switch = management.descriptors[0]
        for attempt, code in [
            (peer.read_value(0x0FFF), att.ErrorCode.INVALID_HANDLE),
            (peer.read_value(management.handle), att.ErrorCode.READ_NOT_PERMITTED),
            (peer.write_value(name.handle, b"mine", with_response=True), att.ErrorCode.WRITE_NOT_PERMITTED),
            (peer.write_value(name.handle, b"m" * 500, with_response=True), att.ErrorCode.REQUEST_NOT_SUPPORTED),
            (peer.write_value(switch.handle, b"\x01", with_response=True), att.ErrorCode.INVALID_ATTRIBUTE_LENGTH),
        ]:
            with pytest.raises(att.ATT_Error) as refused:
                await attempt
            assert refused.value.error_code == code
        assert await peer.read_value(switch.handle) == b"\x00\x00"
        with pytest.raises(BaseBumbleError):
            await connection.create_l2cap_channel(l2cap.LeCreditBasedChannelSpec(psm=0x80))
        connection.device.pairing_config_factory = lambda _connection: PairingConfig()
        with pytest.raises((BaseBumbleError, asyncio.CancelledError)):
            await connection.pair()
        await connection.update_parameters(15.0, 30.0, 0, 2000.0)
        replies = _Replies()
        await management.subscribe(replies.feed)
        assert await echo(peer, replies, "still there") == "still there"


async def test_switches_belong_to_the_link(air: ThreadedAir, start_in: Callable[[ThreadedAir], EmulatedBoard]) -> None:
    board = start_in(air)
    for number in (1, 2):
        async with central(air, board, address=f"F1:00:00:00:00:0{number}") as connection:
            peer = await _peer(connection)
            switch = _characteristic(peer, MANAGEMENT_UUID).descriptors[0]
            assert await peer.read_value(switch.handle) == b"\x00\x00"
            await peer.write_value(switch.handle, b"\x01\x00", with_response=True)
            assert await peer.read_value(switch.handle) == b"\x01\x00"
            await connection.disconnect()


async def test_withheld_credits_stall_the_board_and_nothing_is_lost(
    air: ThreadedAir, start_in: Callable[[ThreadedAir], EmulatedBoard]
) -> None:
    board = start_in(air)
    async with central(air, board) as connection:
        peer = await _peer(connection)
        replies = _Replies()
        await _characteristic(peer, MANAGEMENT_UUID).subscribe(replies.feed)
        air.faults = AirFaults(withhold_credits=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(echo(peer, replies, "x" * 3000), 1.0)  # 13 pieces, 8 buffers; also of the central.
        air.faults = AirFaults()
        reply = await replies.next()
        assert smp_os.EchoWriteResponse.loads(reply).r == "x" * 3000
        assert await echo(peer, replies, "y" * 100) == "y" * 100


@pytest.mark.full
async def test_link_without_a_session_ends_after_ten_seconds_and_the_board_advertises(
    air: ThreadedAir, start_in: Callable[[ThreadedAir], EmulatedBoard]
) -> None:
    board = start_in(air)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    started = loop.time()
    async with central(air, board) as connection:
        connection.on(connection.EVENT_DISCONNECTION, ended.set_result)
        assert await asyncio.wait_for(ended, TIMEOUT_S) == hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
        assert loop.time() - started > 8.0
    async with central(air, board) as connection:
        assert (await _peer(connection)).services


def test_board_comes_back_after_a_reset_and_after_the_air_was_away(
    start_in: Callable[[ThreadedAir], EmulatedBoard], tmp_path: Path
) -> None:
    with serve_air() as air:
        board, address = start_in(air), air.address
        wait_until_advertising(air, 1)

        async def kill_while_connected() -> None:
            client = BleakClient(await _found(air, board), backend=air_backend(air.address).client_type)
            gone = asyncio.Event()
            client._backend.set_disconnected_callback(gone.set)
            await client.connect()
            board.stop()
            await asyncio.wait_for(gone.wait(), TIMEOUT_S)
            await client.disconnect()

        asyncio.run(kill_while_connected())
        assert air.advertisers == []
        again = start_in(air)
        wait_until_advertising(air, 1)
    with serve_air(port=int(address.rpartition(":")[2])) as air:
        wait_until_advertising(air, 1)
        assert again.is_running()


async def _found(air: ThreadedAir, board: EmulatedBoard) -> Any:
    backend = air_backend(air.address)
    device = await BleakScanner.find_device_by_name(name_of(board.device_id), timeout=TIMEOUT_S, backend=backend.scanner_type)
    assert device is not None
    return device


# Somebody else's client


@pytest.fixture
def smpclient_in(air: ThreadedAir, monkeypatch: pytest.MonkeyPatch) -> ThreadedAir:
    """smpclient has no argument for bleak's backend: its two names of bleak are set for the time of a test; all else is as released."""
    backend = air_backend(air.address)

    class Client(BleakClient):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, backend=backend.client_type, **options)

    class Scanner:
        @staticmethod
        async def find_device_by_name(name: str, **options: Any) -> Any:
            return await BleakScanner.find_device_by_name(name, **options, backend=backend.scanner_type)

    monkeypatch.setattr(smpclient.transport.ble, "BleakClient", Client)
    monkeypatch.setattr(smpclient.transport.ble, "BleakScanner", Scanner)
    return air


async def test_unmodified_smpclient_may_echo_and_is_denied_images(
    smpclient_in: ThreadedAir, start_in: Callable[[ThreadedAir], EmulatedBoard]
) -> None:
    board = start_in(smpclient_in)
    async with SMPClient(SMPBLETransport(), name_of(board.device_id), timeout_s=TIMEOUT_S) as client:
        said = await client.request(EchoWrite(d="hello tinyfleet"))
        assert success(said) and said.r == "hello tinyfleet"
        parameters = await client.request(MCUMgrParametersRead())
        assert success(parameters) and parameters.buf_size == 4096
        state = await client.request(ImageStatesRead())
        assert error(state) and state.rc == MGMT_ERR.EACCESSDENIED
        # To smpclient the answer to an upload is one without an offset, whatever its rc.
        chunk = await client.request(ImageUploadWrite(off=0, data=bytes(100), len=100, sha=bytes(32)))
        assert success(chunk) and (chunk.off, chunk.rc) == (None, MGMT_ERR.EACCESSDENIED)
        with pytest.raises(SMPUploadError, match="rc=11"):
            async for _ in client.upload(bytes(100), slot=0):
                pass
        said = await client.request(EchoWrite(d="and still here"))
        assert success(said) and said.r == "and still here"


async def test_unmodified_smpclient_updates_an_open_development_build(
    smpclient_in: ThreadedAir, updatable: Updatable, open_build: OpenBuild, tmp_path: Path
) -> None:
    nvm, images = tmp_path / "board.nvm", [tmp_path / "slot0.bin", tmp_path / "slot1.bin"]
    for slot, program in enumerate([open_build.program, updatable.signed.programs[1]]):
        sign_firmware(program.image, images[slot], ImageFacts(BOARD, slot, f"{1 + slot}.0.0"), open_build.keys.firmware)
    image = images[1].read_bytes()
    create_nvm(nvm, BOARD)
    write_factory_slot(nvm, BOARD, images[0].read_bytes())
    with EmulatedBoard.start(BOARD, open_build.bootloader.elf, nvm, air=smpclient_in.address) as board:
        async with SMPClient(SMPBLETransport(), name_of(board.device_id), timeout_s=TIMEOUT_S) as client:
            said = await client.request(EchoWrite(d="hello tinyfleet"))
            assert success(said) and said.r == "hello tinyfleet"
            assert success(await client.request(MCUMgrParametersRead()))
            state = await client.request(ImageStatesRead())
            assert success(state) and [(one.slot, one.active) for one in state.images] == [(0, True)]
            async for _ in client.upload(image, slot=0, subsequent_timeout_s=TIMEOUT_S):
                pass
            state = await client.request(ImageStatesRead())
            assert success(state) and [(one.slot, one.active) for one in state.images] == [(0, True), (1, False)]
            assert state.images[1].hash == read_image(image).digest
