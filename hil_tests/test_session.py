"""Sessions over real links: a device that was given a key, and what it lets whom do. Attack family C1."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import cbor2
import numpy as np
import pytest
from smp.header import Header

from hil_tests.conftest import CHANNELS, WINDOW_SAMPLES, StartBoard
from tinyfleet.device import SyncDevice, connect, open_device
from tinyfleet.device_keys import ENVIRONMENT, key_path, load_keys, new_key
from tinyfleet.link import open_link
from tinyfleet.smp.sealed_link import open_session
from tinyfleet.smp.session import Handshake
from tinyfleet_codegen.errors import AccessError, DeviceError, LinkClosed, LinkTimeout, SessionLost, StoreError
from tinyfleet_codegen.wire.ids import SmpGroup, Status
from tinyfleet_codegen.wire.messages import MESSAGES
from tinyfleet_codegen.wire.schema import Op
from tinyfleet_codegen.wire.session import SessionCommand

WINDOW = np.arange(WINDOW_SAMPLES * CHANNELS, dtype=np.int8).tobytes()
NOT_SUPPORTED, ACCESS_DENIED = 8, 11
OPEN_MESSAGES = {"echo", "params", "hello", "session_open", "session_record"}
SECRET_READS = {"results", "window", "output", "file_read", "file_hash"}
"""Of what only looks: what a sensor saw, and words of the stack."""


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The keys of a host that knows no device."""
    folder = tmp_path / "keys"
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    return folder


@pytest.fixture(params=["memory", "emulated"])
def url(request: pytest.FixtureRequest, model_dir: Path, tmp_path: Path, start_board: StartBoard) -> Callable[[], str]:
    """Starts the same board again and again: its flash stays."""
    running = ExitStack()

    def start() -> str:
        if request.param == "memory":
            return "memory://?" + urlencode({"model": model_dir, "nvm": tmp_path / "kept.nvm"})
        running.close()
        board = start_board(nvm="kept.nvm")
        running.callback(board.stop)
        return board.url

    return start


def provision(device: SyncDevice, *, lock: bool) -> bytes:
    with new_key(device.hello().device_id) as key:
        device.provision(key, lock=lock)
    return key


def use_everything(device: SyncDevice) -> None:
    assert device.infer(WINDOW) == WINDOW
    device.replay(device.hello().boot_id, np.zeros((WINDOW_SAMPLES, CHANNELS), np.int16))
    assert len(device.results(0, 10).records) == 1
    assert len(device.self_infer(1, 0, 20)) == 20
    assert device.stats().inferences >= 20


def test_a_provisioned_device_is_used_in_a_session_and_a_locked_one_only_so(url: Callable[[], str], keys: Path) -> None:
    address = url()
    with connect(address) as device:
        status = device.session_status()
        assert (status.provisioned, status.locked, status.session) == (False, False, False)
        use_everything(device)
        provision(device, lock=True)
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in keys.iterdir()] == [0o600]
    for _ in range(2):
        address = url()  # a restart
        with connect(address) as device:
            status = device.session_status()
            assert (status.provisioned, status.locked, status.session) == (True, True, True)
            use_everything(device)
        with connect(address, in_session=False) as device:
            assert device.echo("hello") == "hello"
            assert device.model_info().name
            for refused in (
                partial(device.infer, WINDOW),
                partial(device.results, 0, 1),
                device.reset,
                partial(device.provision, bytes(32)),
            ):
                with pytest.raises(DeviceError, match="EACCESSDENIED"):
                    refused()


def test_keys_change_in_a_session_and_the_old_one_is_worth_nothing(url: Callable[[], str], keys: Path) -> None:
    address = url()
    with connect(address) as device:
        old = provision(device, lock=True)
    address = url()
    with connect(address) as device:
        device_id = device.hello().device_id
        provision(device, lock=False)
    address = url()
    with connect(address) as device:
        assert device.session_status().locked, "a lock stays"
    key_path(device_id).write_text(old.hex())
    with pytest.raises(AccessError, match="refused OPEN"), connect(url()):
        pass


def test_after_a_reset_a_new_session_is_opened_by_itself(url: Callable[[], str]) -> None:
    with connect(url()) as device:
        provision(device, lock=True)
    with connect(url()) as device:
        provision(device, lock=False)
        assert device.session_status().session, "with the new key, in the same breath"
        boot = device.hello().boot_id
        device.reset()
        assert device.stats().inferences == 0, "a request that may be repeated is"
        assert (device.hello().boot_id, device.session_status().session) == (boot + 1, True)
        device.reset()
        with pytest.raises((SessionLost, LinkTimeout)):
            device.infer(WINDOW)
        use_everything(device)


async def test_what_must_not_be_repeated_is_reported_and_not_repeated(url: Callable[[], str]) -> None:
    """Whoever refuses a record need not be the device: an answer of that kind proves nothing."""
    with connect(url()) as device:
        provision(device, lock=True)
    async with open_device(url()) as device:
        link, refused = device._client._link._link, 0  # type: ignore[attr-defined]
        original = link.send_and_receive

        async def forged(data: bytes) -> bytes:
            nonlocal refused
            reply = await original(data)
            if data[7] == SessionCommand.RECORD and not refused:
                refused = 1
                body = cbor2.dumps({"err": {"group": SmpGroup.SESSION, "rc": -Status.ERR_STATE}})
                return bytes(reply[:2]) + len(body).to_bytes(2, "big") + bytes(reply[4:8]) + body
            return bytes(reply)

        before = (await device.stats()).inferences
        link.send_and_receive = forged
        with pytest.raises(SessionLost, match="it may have done Infer before, or not"):
            await device.infer(WINDOW)
        assert (await device.stats()).inferences == before + 1, "done, and once"
        refused = 0
        assert (await device.stats()).inferences == before + 1, "repeated in a new session"
        assert refused == 1


async def test_every_message_keeps_the_policy_on_a_locked_device(url: Callable[[], str], keys: Path) -> None:
    address = url()
    async with open_link(address) as link:
        status = await ask(link, SmpGroup.SESSION, SessionCommand.STATUS, 0, {})
        assert status == {"provisioned": False, "locked": False, "session": False}
        assert await ask(link, SmpGroup.SESSION, SessionCommand.PROVISION, 2, {"psk": bytes(range(32)), "lock": True}) == {}
        counts = {"open": 0, "refused": 0}
        for message in MESSAGES:
            op = 0 if message.op is not Op.WRITE else 2
            if (message.group, message.command) == (SmpGroup.IMAGE, 6):
                continue  # smp's client library knows no such command
            reply = await ask(link, message.group, message.command, op, {})
            if reply.get("rc") == NOT_SUPPORTED:
                continue  # this board has no such command
            is_open = message.name in OPEN_MESSAGES or (message.op is Op.READ and message.name not in SECRET_READS)
            assert (reply.get("rc") == ACCESS_DENIED) == (not is_open), message.name
            counts["open" if is_open else "refused"] += 1
        assert counts["refused"] >= 15
        hello = await ask(link, SmpGroup.TINYFLEET, 0, 0, {})
        sealed = await open_session(link, hello["device_id"], lambda: [bytes(range(32))])
        inner = Header.SIZE  # a record in a record is refused, or messages could nest
        assert (await ask(sealed, SmpGroup.SESSION, SessionCommand.RECORD, 2, {"n": 0, "d": bytes(24 + inner)})).get("rc") == 3


async def ask(link: object, group: int, command: int, op: int, body: dict[str, object]) -> dict[str, object]:
    payload = cbor2.dumps(body)
    header = bytes([1 << 3 | op, 0, *len(payload).to_bytes(2, "big"), *int(group).to_bytes(2, "big"), 7, int(command)])
    async with asyncio.timeout(30):
        reply = await link.send_and_receive(header + payload)  # type: ignore[attr-defined]
    answer = cbor2.loads(reply[Header.SIZE :])
    assert isinstance(answer, dict)
    return answer


async def test_a_replayed_record_confirms_nothing_twice(url: Callable[[], str]) -> None:
    async with open_link(url()) as link:
        await ask(link, SmpGroup.SESSION, SessionCommand.PROVISION, 2, {"psk": bytes(range(32))})
        hello = await ask(link, SmpGroup.TINYFLEET, 0, 0, {})
        sealed = await open_session(link, hello["device_id"], lambda: [bytes(range(32))])  # type: ignore[arg-type]
        sent: list[bytes] = []
        original = link.send_and_receive

        async def recorded(data: bytes) -> bytes:
            sent.append(data)
            return await original(data)

        link.send_and_receive = recorded  # type: ignore[method-assign]
        assert "r" in await ask(sealed, SmpGroup.OS, 0, 2, {"d": "once"})
        for _ in range(3):
            reply = cbor2.loads((await original(sent[0]))[Header.SIZE :])
            assert reply == {"err": {"group": SmpGroup.SESSION, "rc": -Status.ERR_SIGNATURE}}
        assert "r" in await ask(sealed, SmpGroup.OS, 0, 2, {"d": "still there"})


async def test_no_two_boots_of_one_memory_repeat_a_public_key(url: Callable[[], str]) -> None:
    psk, seen, boots = bytes(range(32)), set(), 4
    for boot in range(boots):
        async with open_link(url()) as link:
            await ask(link, SmpGroup.SESSION, SessionCommand.PROVISION, 2, {"psk": psk})
            hello = await ask(link, SmpGroup.TINYFLEET, 0, 0, {})
            assert hello["boot_id"] == boot + 1
            for _ in range(3):
                request = Handshake(psk, hello["device_id"]).request  # type: ignore[arg-type]
                answer = await ask(link, SmpGroup.SESSION, SessionCommand.OPEN, 2, {"m": request})
                seen.add(answer["m"][:32])  # type: ignore[index]
    assert len(seen) == 3 * boots


def test_key_files_that_others_can_read_are_refused(url: Callable[[], str], keys: Path) -> None:
    with connect(url()) as device:
        provision(device, lock=False)
    (file,) = keys.iterdir()
    file.chmod(0o644)
    with pytest.raises(StoreError, match="open to others"), connect(url()):
        pass
    file.chmod(0o600)
    file.write_text("no key")
    with pytest.raises(StoreError, match="does not hold a key"), connect(url()):
        pass


def test_a_change_of_keys_that_was_cut_short_leaves_two_and_one_of_them_works(url: Callable[[], str], keys: Path) -> None:
    with connect(url()) as device:
        device_id = device.hello().device_id
        provision(device, lock=True)
    with pytest.raises(LinkClosed), connect(url()) as device, new_key(device_id) as key:
        device.provision(key)
        raise LinkClosed("the answer was lost")
    assert len(load_keys(device_id)) == 2
    with connect(url()) as device:
        use_everything(device)


def test_command_line_provisions_and_never_shows_the_key(url: Callable[[], str], keys: Path) -> None:
    address = url()
    for words in (["--lock"], []):
        command = [sys.executable, "-P", "-m", "tinyfleet", "device", "provision", address, *words, "--json"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, run.stderr
        (file,) = keys.iterdir()
        shown = json.loads(run.stdout)
        assert (shown["key_file"], shown["locked"], shown["replaced"]) == (str(file), True, not words)
        assert file.read_text().strip() not in run.stdout + run.stderr
