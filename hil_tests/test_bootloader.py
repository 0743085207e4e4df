"""The bootloader on emulated boards: what it starts, what it refuses, and what becomes of an image that hangs."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hil_tests.conftest import Updatable
from tests.support.slots import Slots, slots_in_file
from tinyfleet.device import connect, open_device
from tinyfleet.elf import elf_symbols
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.image import write_factory_slot
from tinyfleet.ota import confirm_firmware, push_firmware, revert_firmware, try_firmware
from tinyfleet.signing_keys import new_keys
from tinyfleet.stack_bound import EXCEPTION_FRAME_BYTES, stack_bound
from tinyfleet_codegen.errors import DeviceError, UsageError

BOARDS = ["mps2_an386", "mps2_an385", "mps2_an385_v6m", "mps2_an500", "mps2_an505", "mps3_an547"]
BOARD = BOARDS[0]
TEXT = b"sensor dev"
BRANCH_TO_SELF = b"\xfe\xe7"
MOST_FLASH_BYTES, MOST_RAM_BYTES = 24 * 1024, 8 * 1024


def image(b: Updatable, slot: int, version: str, *, hangs: bool = False, key: Path | None = None) -> bytes:
    """The sensor app for a slot, which says its version instead of ``dev``; or hangs at its first instruction."""
    program = bytearray(b.signed.programs[slot].image.read_bytes().replace(TEXT, b"sensor " + version.encode()[:3]))
    if hangs:
        origin = Slots(bytearray(), b.board).areas[slot].address + 0x200
        at = (int.from_bytes(program[4:8], "little") & ~1) - origin
        program[at : at + 2] = BRANCH_TO_SELF
    return b.sign(bytes(program), slot, version, key=key)


def running(board: EmulatedBoard, timeout_s: float = 40.0) -> str:
    with connect(board.url, timeout_s=timeout_s) as device:
        return device.hello().app


def factory(built: Updatable, nvm: Path) -> None:
    create_nvm(nvm, built.board)
    write_factory_slot(nvm, built.board, image(built, 0, "1.0.0"))


def start(built: Updatable, nvm: Path) -> EmulatedBoard:
    return EmulatedBoard.start(built.board, built.signed.bootloader.elf, nvm)


@pytest.mark.parametrize("board", [BOARD, *(pytest.param(board, marks=pytest.mark.full) for board in BOARDS[1:])])
def test_a_requested_image_runs_once_and_is_reverted(updatable_board: Callable[[str], Updatable], board: str, tmp_path: Path) -> None:
    b, nvm = updatable_board(board), tmp_path / "board.nvm"
    factory(b, nvm)
    with start(b, nvm) as emulated:
        assert running(emulated) == "sensor 1.0"
    with slots_in_file(nvm, board) as slots:
        slots.put(1, image(b, 1, "2.0.0"))
        slots.put_trailer(1, order=2)
    with start(b, nvm) as emulated:
        assert running(emulated) == "sensor 2.0"
        with slots_in_file(nvm, board) as slots:
            assert slots.trailer(1).is_tried and not slots.trailer(1).is_confirmed
        with connect(emulated.url, timeout_s=40.0) as device:
            device.reset()
        assert running(emulated) == "sensor 1.0"
    with start(b, nvm) as emulated:
        assert running(emulated) == "sensor 1.0"


def test_an_image_that_hangs_is_ended_by_the_watchdog_and_reverted(updatable_board: Callable[[str], Updatable], tmp_path: Path) -> None:
    b, nvm = updatable_board(BOARD), tmp_path / "board.nvm"
    factory(b, nvm)
    with slots_in_file(nvm, BOARD) as slots:
        slots.put(1, image(b, 1, "2.0.0", hangs=True))
        slots.put_trailer(1, order=2)
    with start(b, nvm) as emulated:
        assert running(emulated, timeout_s=200.0) == "sensor 1.0"
    with slots_in_file(nvm, BOARD) as slots:
        assert slots.trailer(1).is_tried and not slots.trailer(1).is_confirmed


def test_what_may_not_run_does_not_run(updatable_board: Callable[[str], Updatable], tmp_path: Path) -> None:
    """A sample of the attack matrix on the real bootloader; all of it is in tests/firmware/test_boot_attacks.py."""
    b, nvm = updatable_board(BOARD), tmp_path / "board.nvm"
    factory(b, nvm)
    good = image(b, 1, "2.0.0")
    other_key = new_keys(tmp_path / "other", is_release=True).firmware
    flipped = bytearray(good)
    flipped[0x1000] ^= 1
    attacks = {
        "a bit of the body": bytes(flipped),
        "another key": image(b, 1, "2.0.0", key=other_key),
        "the model's key": image(b, 1, "2.0.0", key=b.keys.model),
        "the image of slot 0": image(b, 0, "2.0.0"),
        "no signature": good[: -(4 + 64)] if good[-68:-66] == b"\x24\x00" else b"",
        "cut short": good[:-1],
    }
    for name, attack in attacks.items():
        assert attack, name
        with slots_in_file(nvm, BOARD) as slots:
            slots.put(1, attack)
            slots.put_trailer(1, order=2)
        with start(b, nvm) as emulated:
            assert running(emulated) == "sensor 1.0", name
        with slots_in_file(nvm, BOARD) as slots:
            assert not slots.trailer(1).is_tried, name


def write_images(b: Updatable, folder: Path, version: str) -> Path:
    folder.mkdir()
    for slot in (0, 1):
        (folder / f"sensor.slot{slot}.bin").write_bytes(image(b, slot, version))
    return folder


async def test_two_updates_over_the_link_and_one_that_is_left(updatable_board: Callable[[str], Updatable], tmp_path: Path) -> None:
    b, nvm = updatable_board(BOARD), tmp_path / "board.nvm"
    factory(b, nvm)
    with start(b, nvm) as emulated:
        async with open_device(emulated.url, timeout_s=40.0) as device:
            for version, slot in (("2.0.0", 1), ("3.0.0", 0)):
                pushed = await push_firmware(device, write_images(b, tmp_path / version, version))
                assert pushed.slot == slot
                now = await try_firmware(device, pushed.hash)
                assert (now.slot, now.version, now.is_confirmed) == (slot, version, False)
                await confirm_firmware(device)
            await push_firmware(device, tmp_path / "2.0.0")
            assert (await try_firmware(device)).version == "2.0.0"
            assert (await revert_firmware(device)).version == "3.0.0"
            with pytest.raises(UsageError, match="confirmed"):
                await revert_firmware(device)
    with start(b, nvm) as emulated:
        assert running(emulated) == "sensor 3.0"


async def test_the_file_for_the_other_slot_is_refused_at_once_and_the_right_one_named(
    updatable_board: Callable[[str], Updatable], tmp_path: Path
) -> None:
    b, nvm = updatable_board(BOARD), tmp_path / "board.nvm"
    factory(b, nvm)
    folder = write_images(b, tmp_path / "2.0.0", "2.0.0")
    with start(b, nvm) as emulated:
        async with open_device(emulated.url, timeout_s=40.0) as device:
            with pytest.raises(DeviceError, match="linked for the other one") as refused:
                await push_firmware(device, folder / "sensor.slot0.bin")
    assert "sensor.slot1.bin" in str(refused.value.hint)


def test_without_an_image_it_says_so(updatable_board: Callable[[str], Updatable], tmp_path: Path) -> None:
    b, nvm = updatable_board(BOARD), tmp_path / "board.nvm"
    create_nvm(nvm, BOARD)
    with start(b, nvm) as emulated:
        host, port = emulated.url.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as link:
            text = b""
            while not text.endswith(b"\n"):
                text += link.recv(100)
    assert b"no slot holds an image that may run" in text


def test_the_bootloader_is_as_small_as_promised(updatable_board: Callable[[str], Updatable]) -> None:
    bootloader = updatable_board(BOARD).signed.bootloader
    assert bootloader.flash_bytes <= MOST_FLASH_BYTES
    assert bootloader.ram_bytes <= MOST_RAM_BYTES
    places = {symbol.name: symbol.address for symbol in elf_symbols(bootloader.elf)}
    stack = places["tyf_stack_end"] - places["tyf_stack_begin"]
    assert stack_bound(bootloader.elf, "main") + EXCEPTION_FRAME_BYTES <= stack, "an overflow would not be seen: there is no guard"


def test_emulate_boots_a_new_board_as_it_leaves_the_factory(updatable_board: Callable[[str], Updatable], tmp_path: Path) -> None:
    b, nvm = updatable_board(BOARD), tmp_path / "board.nvm"
    command = [sys.executable, "-P", "-m", "tinyfleet", "emulate", BOARD, "--boot", str(b.folder), "--nvm", str(nvm), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as emulate:
        try:
            assert emulate.stdout is not None
            with connect(json.loads(emulate.stdout.readline())["smp"], timeout_s=40.0) as device:
                assert device.hello().app == "sensor dev"
        finally:
            emulate.terminate()
            assert emulate.wait(60) == 0
    with slots_in_file(nvm, BOARD) as slots:
        assert slots.trailer(0).is_confirmed and not slots.trailer(1).is_requested
    wrong = [*command[:-4], str(tmp_path), "--nvm", str(tmp_path / "x.nvm")]
    refused = subprocess.run(wrong, capture_output=True, text=True, timeout=300, check=False)
    assert refused.returncode == 2 and "NAME.slot0.bin" in refused.stderr and not (tmp_path / "x.nvm").exists()
