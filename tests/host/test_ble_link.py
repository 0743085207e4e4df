"""The link over BLE against somebody else's peripheral, in an air: who is found, what is refused, what is lost."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from smp.header import OP

from tests.host.ble_peer import in_air
from tests.host.peer import PythonBoard
from tests.host.test_device_commands import tinyfleet
from tests.support.patience import with_patience
from tinyfleet.device import Device, open_device
from tinyfleet.device_keys import ENVIRONMENT as KEYS_ENVIRONMENT
from tinyfleet.device_keys import new_key
from tinyfleet.emulator.air import Air
from tinyfleet.link import open_link
from tinyfleet.link.ble import AIR_ENVIRONMENT, BleLink
from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.requests import EchoRequest
from tinyfleet_codegen.errors import AccessError, LinkClosed, LinkLost, LinkTimeout, UsageError
from tinyfleet_codegen.wire.ble import MESSAGE_GAP_S, name_of

TIMEOUT_S = 40.0
"""Of what happens; half of it, where a request may be sent again."""

ID = bytes.fromhex("3fa2b0c1d2e3f405162738495a6b7c8d")
TWIN = bytes.fromhex("3fa2bffffffffffffffffffffffffffe")  # of the same name


@pytest.fixture
async def air(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Air]:
    async with await Air.start() as air:
        monkeypatch.setenv(AIR_ENVIRONMENT, air.address)
        yield air


async def echo(url: str, text: str = "there", *, timeout_s: float = TIMEOUT_S) -> str:
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
        await nobody("ble://door%20bell", "no device door bell within {} s; in reach: Door Bell")


async def nobody(url: str, said: str) -> None:
    """It is not found, with these words and its deadline in them."""

    async def attempt(patience: float) -> None:
        timeout_s = 0.5 * patience
        with pytest.raises(LinkTimeout) as missed:
            await echo(url, timeout_s=timeout_s)
        assert said.format(f"{timeout_s:g}") in str(missed.value)
        assert missed.value.hint is not None and "another host" in missed.value.hint

    await with_patience(attempt)


async def test_nobody_of_that_name_says_who_is_in_reach(air: Air) -> None:
    async with in_air(air.address, PythonBoard(), ID):
        await nobody("ble://tf-99999", "no device tf-99999 within {} s; in reach: tf-3fa2b")
    with pytest.raises(LinkTimeout, match="in reach: nobody"):
        await echo("ble://tf-99999", timeout_s=0.3)


async def test_another_device_behind_the_name_is_refused(air: Air) -> None:
    impostor = bytes.fromhex("99") * 16
    async with in_air(air.address, PythonBoard(), impostor, name=name_of(ID)):
        with pytest.raises(AccessError, match=f"called tf-3fa2b says that it is {impostor.hex()}"):
            await echo(f"ble://{name_of(ID)}")
        await nobody(f"ble://{ID.hex()}", f"no device {ID.hex()} within {{}} s; in reach: device {impostor.hex()}")


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

    async def attempt(patience: float) -> None:
        async with in_air(air.address, board, ID) as peripheral, open_link(f"ble://{ID.hex()}", timeout_s=TIMEOUT_S) as link:
            await DeviceClient(link, TIMEOUT_S).negotiate()
            peripheral.swallow = 2
            started = asyncio.get_running_loop().time()
            client = DeviceClient(link, timeout_s=2 * MESSAGE_GAP_S + 0.4 * patience)
            assert (await client.ask(EchoRequest(d="x" * 700), repeatable=True)).r == "x" * 700
            assert peripheral.swallow == 0 and asyncio.get_running_loop().time() - started > MESSAGE_GAP_S
            peripheral.swallow = 1
            with pytest.raises(LinkTimeout):
                await DeviceClient(link, timeout_s=0.2).ask(EchoRequest(d="y" * 700), repeatable=False)

    await with_patience(attempt)


async def test_an_upload_bears_a_piece_that_tears_all_that_follows(air: Air) -> None:
    """Without its first piece a chunk looks like the begin of 65 KB: whoever does not pause adds to them, until the upload ends."""
    data = b"\x02\x00\xff\xff" * 2000

    async def attempt(patience: float) -> None:
        board, held, chunks = PythonBoard(), bytearray(), 0

        def take(request: dict[str, Any]) -> dict[str, Any]:
            nonlocal chunks
            chunks += 1
            if chunks == 2:
                peripheral.swallow = 1  # of the next one
            if request["off"] == len(held):
                held.extend(request["data"])
            return {"off": len(held)}

        board.handlers[OP.WRITE, 1, 1] = take
        async with in_air(air.address, board, ID) as peripheral:
            url = f"ble://{ID.hex()}"
            async with open_link(url, timeout_s=TIMEOUT_S) as link:
                report = await Device(url, DeviceClient(link, 3.0 * patience), 3.0 * patience).upload_image(data)
        assert (bytes(held), report.lost_chunks > 0) == (data, True)

    await with_patience(attempt)


async def test_without_a_key_nothing_but_the_open_questions_is_asked(air: Air, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_ENVIRONMENT, str(tmp_path / "keys"))
    board = PythonBoard()
    async with in_air(air.address, board, ID):
        with pytest.raises(AccessError, match=f"this host has no key for ble://tf-3fa2b, device {ID.hex()}") as refused:
            async with open_device(f"ble://{name_of(ID)}", timeout_s=TIMEOUT_S):
                pass
        assert refused.value.hint is not None and "tinyfleet device provision serial://" in refused.value.hint
        async with open_device(f"ble://{name_of(ID)}", timeout_s=TIMEOUT_S, in_session=False) as device:
            assert await device.echo("hello") == "hello"
            with pytest.raises(UsageError, match="a first key is given over a wire"):
                await device.provision(bytes(32))
    assert {group for group, _ in board.requests} == {0}


async def test_scan_lists_boards_with_what_is_known_of_them(air: Air, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_ENVIRONMENT, str(tmp_path / "keys"))
    with new_key(ID):
        pass

    async def scan(patience: float) -> None:
        timeout = f"{patience:g}"
        async with in_air(air.address, PythonBoard(), ID), in_air(air.address, PythonBoard(), TWIN, name="Door Bell"):
            code, out, err = await tinyfleet("device", "scan", "--timeout", timeout, "--json")
            shown = {facts["name"]: facts for facts in json.loads(out) if "name" in facts}
            assert (code, err, set(shown)) == (0, "", {"tf-3fa2b", "Door Bell"})
            assert (shown["tf-3fa2b"]["url"], shown["tf-3fa2b"]["device_id"]) == ("ble://tf-3fa2b", ID.hex())
            assert (shown["Door Bell"]["url"], shown["Door Bell"]["device_id"]) == ("ble://Door%20Bell", None)
            assert all(facts["management"] and isinstance(facts["rssi_dbm"], int) for facts in shown.values())
            code, out, _ = await tinyfleet("device", "scan", "--air", air.address, "--timeout", timeout)
            assert code == 0 and f"ble://tf-3fa2b     device {ID.hex()}, has a key here" in out
        async with in_air(air.address, PythonBoard(), ID), in_air(air.address, PythonBoard(), TWIN):
            code, out, _ = await tinyfleet("device", "scan", "--timeout", timeout, "--json")
            assert sorted(str(facts["device_id"]) for facts in json.loads(out) if "name" in facts) == [ID.hex(), "None"]

    await with_patience(scan)


async def test_scan_without_adapter_or_air_is_one_line(air: Air, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(AIR_ENVIRONMENT)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    code, out, err = await tinyfleet("device", "scan", "--json")
    assert (code, len(err.splitlines())) == (0, 1) and err.startswith("no Bluetooth adapter: ") and isinstance(json.loads(out), list)
    await air.close()
    code, _, err = await tinyfleet("device", "scan", "--air", air.address)
    assert code == 1 and err == f"error: no air at {air.address}: nobody listens there\n  hint: tinyfleet air serve starts one\n"


async def test_after_a_loss_the_link_is_made_anew_to_the_same_device(air: Air) -> None:
    board = PythonBoard()
    async with in_air(air.address, board, ID), open_link("ble://3fa", timeout_s=TIMEOUT_S) as link:
        assert isinstance(link, BleLink)
        client = DeviceClient(link, TIMEOUT_S)
        for _ in range(3):
            air.lose_links()
            async with asyncio.timeout(TIMEOUT_S / 4):  # And not when the request is sent again, after half of its deadline.
                assert (await client.ask(EchoRequest(d="again"), repeatable=True)).r == "again"
        assert (link.device_id, len(board.requests)) == (ID, 3)
        board.silent_requests = 1
        pending = asyncio.create_task(client.ask(EchoRequest(d="once"), repeatable=False))
        await board.ignored_one.wait()
        air.lose_links()
        with pytest.raises(LinkLost, match="it may have done Echo before, or not"):
            await pending
        assert (await client.ask(EchoRequest(d="more"), repeatable=False)).r == "more"
        assert len(board.requests) == 5


async def test_what_was_under_way_in_a_window_is_not_known_and_it_goes_on(air: Air) -> None:
    board = PythonBoard()
    board.silent_requests = 9
    async with in_air(air.address, board, ID), open_link(f"ble://{ID.hex()}", timeout_s=TIMEOUT_S) as link:
        client = DeviceClient(link, TIMEOUT_S)

        async def ask_all() -> list[str]:
            return [reply.r async for reply in client.ask_in_turn((EchoRequest(d=str(i)) for i in range(5)), 3)]

        pending = asyncio.create_task(ask_all())
        await board.ignored_one.wait()
        air.lose_links()
        with pytest.raises(LinkLost):
            await pending
        board.silent_requests = 0
        assert await ask_all() == ["0", "1", "2", "3", "4"]


async def test_the_air_goes_while_it_waits(air: Air) -> None:
    board = PythonBoard()
    board.silent_requests = 1
    async with in_air(air.address, board, ID), open_link(f"ble://{ID.hex()}", timeout_s=TIMEOUT_S) as link:
        pending = asyncio.create_task(DeviceClient(link, 1000.0).ask(EchoRequest(d="mid"), repeatable=False))
        await board.ignored_one.wait()
        await air.close()
        with pytest.raises(LinkClosed):
            await pending
        with pytest.raises(LinkClosed, match="no air at"):
            await link.renew(TIMEOUT_S)


async def test_eight_are_opened_at_once_and_used_together(air: Air) -> None:
    ids = [bytes([number]) * 16 for number in range(1, 9)]

    async def use(device_id: bytes) -> None:
        async with open_link(f"ble://{device_id.hex()}", timeout_s=TIMEOUT_S) as link:
            client = DeviceClient(link, TIMEOUT_S)
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
