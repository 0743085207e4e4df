"""The link over BLE against somebody else's peripheral, in an air: who is found, what is refused, what is lost."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest

from tests.host.ble_peer import in_air, name_of
from tests.host.peer import PythonBoard
from tinyfleet.emulator.air import Air
from tinyfleet.link import open_link
from tinyfleet.link.ble import AIR_ENVIRONMENT, BleLink
from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.requests import EchoRequest
from tinyfleet_codegen.errors import AccessError, LinkClosed, LinkError, LinkTimeout, UsageError

pytestmark = pytest.mark.timeout(30)

ID = bytes.fromhex("3fa2b0c1d2e3f405162738495a6b7c8d")
TWIN = bytes.fromhex("3fa2bffffffffffffffffffffffffffe")  # of the same name


@pytest.fixture
async def air(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Air]:
    async with await Air.start() as air:
        monkeypatch.setenv(AIR_ENVIRONMENT, air.address)
        yield air


async def echo(url: str, text: str = "there", *, timeout_s: float = 3.0) -> str:
    async with open_link(url, timeout_s=timeout_s) as link:
        return (await DeviceClient(link, timeout_s).ask(EchoRequest(d=text), repeatable=True)).r


@pytest.mark.parametrize("target", [name_of(ID), ID.hex(), ID.hex().upper(), ID.hex()[:9], "3fa2b", "3fa"])
async def test_name_and_beginnings_of_the_device_id_find_it(air: Air, target: str) -> None:
    async with in_air(air.address, PythonBoard(), ID), in_air(air.address, PythonBoard(), secrets.token_bytes(16), name="tf-0other"):
        assert await echo(f"ble://{target}") == "there"
        assert await echo(f"ble://{target}?air={air.address}") == "there"


async def test_names_of_others_hold_capitals_and_spaces(air: Air) -> None:
    async with in_air(air.address, PythonBoard(), ID, name="Door Bell"):
        assert await echo("ble://Door%20Bell") == "there"
        with pytest.raises(LinkTimeout, match=r"no device door bell within 0\.5 s; in reach: Door Bell"):
            await echo("ble://door%20bell", timeout_s=0.5)


async def test_nobody_of_that_name_says_who_is_in_reach(air: Air) -> None:
    async with in_air(air.address, PythonBoard(), ID):
        with pytest.raises(LinkTimeout, match=r"no device tf-99999 within 0\.5 s; in reach: tf-3fa2b") as missed:
            await echo("ble://tf-99999", timeout_s=0.5)
    assert missed.value.hint is not None and "another host" in missed.value.hint
    with pytest.raises(LinkTimeout, match="in reach: nobody"):
        await echo("ble://tf-99999", timeout_s=0.3)


async def test_another_device_behind_the_name_is_refused(air: Air) -> None:
    impostor = bytes.fromhex("99") * 16
    async with in_air(air.address, PythonBoard(), impostor, name=name_of(ID)):
        with pytest.raises(AccessError, match=f"called tf-3fa2b says that it is {impostor.hex()}"):
            await echo(f"ble://{name_of(ID)}")
        with pytest.raises(LinkTimeout, match=f"in reach: device {impostor.hex()}"):
            await echo(f"ble://{ID.hex()}", timeout_s=1.0)


async def test_of_two_with_one_name_the_device_id_finds_each_and_the_name_none(air: Air) -> None:
    boards = {ID: PythonBoard(), TWIN: PythonBoard()}
    async with in_air(air.address, boards[ID], ID), in_air(air.address, boards[TWIN], TWIN):
        for device_id, board in boards.items():
            assert await echo(f"ble://{device_id.hex()}") == "there"
            assert len(board.requests) == 1
        with pytest.raises(UsageError, match="may be any of 2: tf-3fa2b at") as unclear:
            await echo("ble://tf-3fa2b")
        assert unclear.value.hint is not None and "whole device id" in unclear.value.hint


async def test_no_air_no_adapter_no_name_are_one_line_and_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    async with await Air.start() as air:
        gone = air.address
    with pytest.raises(LinkClosed, match=f"no air at {gone}") as no_air:
        await echo(f"ble://tf-3fa2b?air={gone}")
    assert no_air.value.hint == "tinyfleet air serve starts one"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    with pytest.raises(LinkClosed, match="no Bluetooth adapter") as no_adapter:
        await echo("ble://tf-3fa2b?air=")
    assert no_adapter.value.hint is not None and "ble://NAME?air=HOST:PORT" in no_adapter.value.hint
    assert "\n" not in str(no_adapter.value)
    for url in ("ble://", "ble://?air=127.0.0.1:1", "ble://tf-3fa2b?air=nowhere", "ble://tf-3fa2b?baud=1"):
        with pytest.raises(UsageError):
            await echo(url)


async def test_a_lost_piece_ends_in_a_deadline_and_a_second_sending(air: Air) -> None:
    board = PythonBoard()
    async with in_air(air.address, board, ID) as peripheral, open_link(f"ble://{ID.hex()}", timeout_s=3.0) as link:
        client = DeviceClient(link, timeout_s=2.4)
        await client.negotiate()
        for lost in (1, 2):
            peripheral.swallow = lost
            started = time.monotonic()
            assert (await client.ask(EchoRequest(d="x" * 700), repeatable=True)).r == "x" * 700
            assert 1.1 < time.monotonic() - started < 2.3
        peripheral.swallow = 1
        with pytest.raises(LinkTimeout):
            await DeviceClient(link, timeout_s=0.2).ask(EchoRequest(d="y" * 700), repeatable=False)


async def test_after_a_loss_the_link_opens_anew_to_the_same_device(air: Air) -> None:
    async with in_air(air.address, PythonBoard(), ID), open_link("ble://3fa", timeout_s=3.0) as link:
        assert isinstance(link, BleLink)
        for _ in range(3):
            air.lose_links()
            with pytest.raises(LinkClosed, match="connected no more"):
                await DeviceClient(link, 3.0).ask(EchoRequest(d="lost"), repeatable=False)
            started = time.monotonic()
            await link.reopen(3.0)
            assert (await DeviceClient(link, 3.0).ask(EchoRequest(d="again"), repeatable=False)).r == "again"
            assert time.monotonic() - started < 1.0
        assert link.device_id == ID


async def test_the_air_goes_while_it_waits(air: Air) -> None:
    board = PythonBoard()
    board.silent_requests = 1
    async with in_air(air.address, board, ID), open_link(f"ble://{ID.hex()}", timeout_s=3.0) as link:
        pending = asyncio.create_task(DeviceClient(link, 20.0).ask(EchoRequest(d="mid"), repeatable=False))
        await board.ignored_one.wait()
        await air.close()
        with pytest.raises(LinkClosed):
            async with asyncio.timeout(2.0):
                await pending
        with pytest.raises(LinkError):
            await link.reopen(0.5)  # type: ignore[attr-defined]


async def test_eight_are_opened_at_once_and_used_together(air: Air) -> None:
    ids = [bytes([number]) * 16 for number in range(1, 9)]

    async def use(device_id: bytes) -> None:
        async with open_link(f"ble://{device_id.hex()}", timeout_s=10.0) as link:
            client = DeviceClient(link, timeout_s=5.0)
            for number in range(20):
                text = f"{device_id.hex()} {number}"
                assert (await client.ask(EchoRequest(d=text), repeatable=False)).r == text

    async with asyncio.TaskGroup() as serving:
        ready: list[asyncio.Event] = []
        end = asyncio.Event()

        async def serve(device_id: bytes, up: asyncio.Event) -> None:
            async with in_air(air.address, PythonBoard(), device_id):
                up.set()
                await end.wait()

        for device_id in ids:
            ready.append(asyncio.Event())
            serving.create_task(serve(device_id, ready[-1]))
        for up in ready:
            await up.wait()
        try:
            await asyncio.gather(*map(use, ids))
        finally:
            end.set()
