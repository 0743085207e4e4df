"""Emulated boards as processes: time, death, links that break."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hil_tests.conftest import BOARD, StartBoard
from tinyfleet.device import connect, open_device
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.link import open_link
from tinyfleet.link.framing import encode_message
from tinyfleet.link.link import ConsoleLink
from tinyfleet.link.opening import open_pipe
from tinyfleet.platformio_build import FirmwareBuild
from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.requests import EchoRequest, ParamsRequest
from tinyfleet_codegen.errors import LinkClosed, LinkTimeout, ProtocolError, StoreError

TIMEOUT_S = 40.0
IDLE_S = 5.0
ATTEMPTS = 5


def test_idle_board_keeps_wall_time(start_board: StartBoard) -> None:
    """Guest time over wall time is 1 +- 0.1: with -icount's sleep=off it would be 20."""
    ratios: list[float] = []
    with connect(start_board().url, timeout_s=TIMEOUT_S) as device:
        # Between the two clocks the machine may stand still: that spoils one comparison, and no wrong clock passes one.
        while not any(abs(ratio - 1.0) < 0.1 for ratio in ratios):
            assert len(ratios) < ATTEMPTS, ratios
            start, guest_start_us = time.monotonic(), device.hello().uptime_us
            time.sleep(IDLE_S)  # Idling is what is measured.
            wall_s, guest_s = time.monotonic() - start, (device.hello().uptime_us - guest_start_us) / 1e6
            ratios.append(guest_s / wall_s)


@pytest.mark.parametrize("pty", [False, True], ids=["tcp", "pty"])
async def test_killing_the_board_in_mid_request_closes_the_link_at_once(start_board: StartBoard, pty: bool) -> None:
    board = start_board(pty=pty)
    async with open_device(board.url, timeout_s=4 * TIMEOUT_S) as device:
        os.kill(board.pid, signal.SIGSTOP)  # So that the request is surely under way.
        pending = asyncio.create_task(device.hello())
        await asyncio.sleep(0)
        os.kill(board.pid, signal.SIGKILL)
        with pytest.raises(LinkClosed):
            async with asyncio.timeout(TIMEOUT_S):  # And not when the request is sent again, after half of its deadline.
                await pending


async def test_stopped_board_is_a_timeout_and_then_lives_on(start_board: StartBoard) -> None:
    board = start_board()
    async with open_link(board.url, timeout_s=TIMEOUT_S) as link:
        patient = DeviceClient(link, TIMEOUT_S)
        await patient.negotiate()
        os.kill(board.pid, signal.SIGSTOP)
        with pytest.raises(LinkTimeout):
            await DeviceClient(link, 1.0).ask(EchoRequest(d="nobody"), repeatable=True)
        os.kill(board.pid, signal.SIGCONT)
        assert (await patient.ask(EchoRequest(d="somebody"), repeatable=False)).r == "somebody"


@pytest.mark.parametrize("pty", [False, True], ids=["tcp", "pty"])
def test_host_may_leave_and_come_back(start_board: StartBoard, pty: bool) -> None:
    board = start_board(pty=pty)
    for text in ("first", "second"):
        with connect(board.url, timeout_s=TIMEOUT_S) as device:
            assert device.echo(text) == text
            assert device.hello().boot_id == 1


async def test_echo_of_every_size_comes_back_from_real_firmware(start_board: StartBoard) -> None:
    async with open_device(start_board().url, timeout_s=TIMEOUT_S) as device:
        buf_size, _ = await device.params()
        largest = buf_size - 4 - 8 - 7  # Frame, header, and the map {"r": text} of the reply, whose end is marked.
        for size in (0, 1, 23, 24, 88, 89, 90, 91, 255, 256, largest):
            text = ("0123456789" * (size // 10 + 1))[:size]
            assert await device.echo(text) == text


def test_request_sent_before_the_board_listens_is_answered(firmware: Callable[[str], FirmwareBuild], tmp_path: Path) -> None:
    """QEMU holds bytes for a UART that is off; without its first read of DATA the board would see them with the next request only."""
    with EmulatedBoard.start(BOARD, firmware(BOARD).elf, tmp_path / "board.nvm", halted=True) as board:
        assert board.debugger is not None
        port = int(board.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as host:
            host.sendall(encode_message(ParamsRequest().BYTES))
            # Each question to the debugger is a turn of the loop that takes a byte from the host.
            with pytest.raises(ProtocolError):
                board.debugger.instructions_until(2, limit=100)
            board.debugger.go()
            assert host.recv(1) == b"\x06"


async def test_no_byte_of_a_host_is_a_command_to_the_emulator(start_board: StartBoard) -> None:
    """0x01 is QEMU's escape by default: with x behind it the board would be gone, and any other pair would not arrive."""
    url = start_board().url
    async with open_pipe(url) as pipe:
        for byte in range(256):
            await pipe.write(bytes([1, byte]))
        assert await DeviceClient(ConsoleLink(url, pipe), TIMEOUT_S).ask(ParamsRequest(), repeatable=True)


def test_two_boards_never_share_a_file(start_board: StartBoard, firmware: Callable[[str], FirmwareBuild]) -> None:
    board = start_board()
    with pytest.raises(StoreError, match="in use"):
        EmulatedBoard.start(BOARD, firmware(BOARD).elf, board.nvm)
    board.kill()
    with EmulatedBoard.start(BOARD, firmware(BOARD).elf, board.nvm) as again:
        assert again.device_id == board.device_id


PARENT = """
import sys, time
from pathlib import Path
from threading import Thread
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.link import open_link

def start():
    board = EmulatedBoard.start(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    print(board.pid, flush=True)

worker = Thread(target=start)   # A thread that ends must not take the board with it.
worker.start()
worker.join()
sys.stdin.read()
"""


def test_board_dies_with_its_parent_but_not_with_a_thread(tmp_path: Path, firmware: Callable[[str], FirmwareBuild]) -> None:
    command = [sys.executable, "-c", PARENT, BOARD, str(firmware(BOARD).elf), str(tmp_path / "board.nvm")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        board_pid = int(parent.stdout.readline())
        board = os.pidfd_open(board_pid)
        try:
            with pytest.raises(TimeoutError):
                wait_for_end(board, 0.3)
            parent.kill()
            wait_for_end(board, TIMEOUT_S)
        finally:
            os.close(board)


def wait_for_end(pidfd: int, timeout_s: float) -> None:
    import select  # noqa: PLC0415

    if not select.select([pidfd], [], [], timeout_s)[0]:
        raise TimeoutError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_emulate_prints_its_addresses_and_ends_clean(
    tmp_path: Path, firmware: Callable[[str], FirmwareBuild], number: signal.Signals
) -> None:
    nvm = tmp_path / "board.nvm"
    command = [sys.executable, "-m", "tinyfleet", "emulate", BOARD, "--elf", str(firmware(BOARD).elf), "--nvm", str(nvm), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        facts = json.loads(process.stdout.readline())
        with connect(facts["smp"], timeout_s=TIMEOUT_S) as device:
            assert device.hello().device_id.hex() == facts["device_id"]
        process.send_signal(number)
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr.read() == ""
    assert facts["nvm"] == str(nvm) and nvm.is_file()
    assert not Path(f"/proc/{facts['pid']}").exists()
