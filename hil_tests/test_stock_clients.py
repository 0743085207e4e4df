"""Clients that know nothing of tinyfleet manage a board, unmodified, each in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hil_tests.conftest import BOARD, StartBoard, Updatable
from tinyfleet.device import connect
from tinyfleet.emulator import EmulatedBoard, create_nvm
from tinyfleet.image import read_image, write_factory_slot

VENVS = Path(__file__).parents[1] / ".tinyfleet" / "venvs"
CLIENTS = Path(__file__).parent / "stock_clients"
OTHER_BOARDS = ["mps2_an385", "mps2_an500", "mps2_an505", "mps3_an547"]
WRONG_ADDRESS = re.compile("INVALID_FLASH_ADDRESS|address of the flash area", re.IGNORECASE)
RESTART_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Client:
    """A stock client at a serial port."""

    name: str
    port: str

    def run(self, *words: str) -> tuple[int, str]:
        """Its exit code, and what it printed."""
        if self.name == "smpmgr":
            command = [_tool("smpmgr") / "smpmgr", f"--plugin-path={CLIENTS / 'smpmgr_plugins'}", "--port", self.port]
            command += ["--timeout", "4" if "state-read" in words else "20"]  # a request is lost when the board restarts
        else:
            venv, script = {"smpclient": ("smpmgr", "smpclient_words.py"), "mcumgr-toolkit": ("mcumgr-toolkit", "toolkit_words.py")}[
                self.name
            ]
            command = [_tool(venv) / "python", CLIENTS / script, self.port]
        # Their output may be drawn by rich: a wide terminal keeps values on one line.
        env = {**os.environ, "COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb", "PYTHONPATH": ""}
        run = subprocess.run([*command, *words], capture_output=True, text=True, timeout=300, check=False, env=env)
        return run.returncode, run.stdout + run.stderr

    def say(self, *words: str) -> Any:
        """What it answers; smpmgr's in its own words."""
        code, said = self.run(*(_SMPMGR_WORDS[words[0]](*words[1:]) if self.name == "smpmgr" else words))
        assert code == 0, said
        return said if self.name == "smpmgr" else json.loads(said.splitlines()[-1])

    def images(self) -> list[tuple[int, str, bool, bool]]:
        """Slot, version, active and confirmed of each image; asked again while the board restarts."""
        for _ in range(RESTART_ATTEMPTS):
            code, said = self.run(*(["image", "state-read"] if self.name == "smpmgr" else ["list"]))
            if code == 0 and ("slot" in said):
                break
        else:
            raise AssertionError(said)
        if self.name != "smpmgr":
            found = json.loads(said.splitlines()[-1])["images"]
            return [(image["slot"], image["version"], bool(image["active"]), bool(image["confirmed"])) for image in found]
        texts = re.split(r"ImageState\(", said)[1:]
        return [
            (
                int(_find(r"slot=(\d)", text)),
                _find(r"version='([^']*)'", text),
                _find(r"active=(\w+)", text) == "True",
                _find(r"confirmed=(\w+)", text) == "True",
            )
            for text in texts
        ]


_SMPMGR_WORDS: dict[str, Callable[..., list[str]]] = {
    "echo": lambda text: ["os", "echo", text],
    "upload": lambda file: ["image", "upload", file],
    "test": lambda digest: ["image", "state-write", digest],
    "confirm": lambda: ["image", "state-write", "--confirm"],
    "reset": lambda: ["os", "reset"],
    "update": lambda file: ["upgrade", "--slot", "1", file],
    "stats": lambda: ["statistics", "list"],
    "stat": lambda name: ["statistics", "get", name],
    "write": lambda name, value: ["settings", "write", name, value],
    "read": lambda name: ["settings", "read", name],
    "delete": lambda name: ["settings", "delete", name],
}


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, f"no {pattern} in {text}"
    return found[1]


def _tool(venv: str) -> Path:
    folder = VENVS / venv / "bin"
    assert folder.is_dir(), f"{venv} is not installed at {folder}: ./run test sets it up, in an environment of its own"
    return folder


@dataclass(frozen=True, slots=True)
class Firmware:
    """Images A (1.0.0) and B (2.0.0) of one program for both slots of a board, and its bootloader."""

    board: str
    bootloader: Path
    folder: Path

    def image(self, name: str, slot: int) -> Path:
        return self.folder / f"{name}.slot{slot}.bin"

    def digest(self, name: str, slot: int) -> str:
        return read_image(self.image(name, slot).read_bytes()).digest.hex()


@pytest.fixture(scope="module")
def firmware_images(updatable_board: Callable[[str], Updatable], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Firmware]:
    @cache
    def build(board: str) -> Firmware:
        built, folder = updatable_board(board), tmp_path_factory.mktemp(board)
        firmware = Firmware(board, built.signed.bootloader.elf, folder)
        for name, version in (("A", "1.0.0"), ("B", "2.0.0")):
            for slot in (0, 1):
                firmware.image(name, slot).write_bytes(built.image(slot, version))
        return firmware

    return build


@pytest.fixture
def start(firmware_images: Callable[[str], Firmware], tmp_path: Path) -> Iterator[Callable[[str], tuple[Firmware, str]]]:
    """Starts a board that left the factory with A in slot 0; its images and its serial port."""
    running: list[EmulatedBoard] = []

    def start_board(board: str) -> tuple[Firmware, str]:
        firmware, nvm = firmware_images(board), tmp_path / "board.nvm"
        create_nvm(nvm, board)
        write_factory_slot(nvm, board, firmware.image("A", 0).read_bytes())
        running.append(EmulatedBoard.start(board, firmware.bootloader, nvm, pty=True))
        assert running[-1].pty is not None
        return firmware, running[-1].pty

    yield start_board
    for emulated in running:
        emulated.stop()


def update(client: Client, firmware: Firmware, name: str, slot: int) -> None:
    """Upload an image, let it be tested, restart."""
    if client.name == "smpmgr":
        client.say("update", str(firmware.image(name, slot)))
    else:
        client.say("upload", str(firmware.image(name, slot)), "--", "test", firmware.digest(name, slot), "--", "reset")


@pytest.mark.parametrize("board", [BOARD, *(pytest.param(board, marks=pytest.mark.full) for board in OTHER_BOARDS)])
@pytest.mark.parametrize("name", ["smpclient", "smpmgr", "mcumgr-toolkit"])
def test_stock_client_manages_a_board(name: str, board: str, start: Callable[[str], tuple[Firmware, str]]) -> None:
    firmware, port = start(board)
    client = Client(name, port)
    assert "hello tinyfleet" in str(client.say("echo", "hello tinyfleet"))
    assert client.images() == [(0, "1.0.0", True, True)]
    # The file of the slot that runs is refused at its first chunk, by the protocol's own error.
    code, said = client.run(*(["image", "upload"] if name == "smpmgr" else ["upload"]), str(firmware.image("B", 0)))
    assert code != 0 or "err" in said, said
    assert WRONG_ADDRESS.search(said), said
    assert client.images() == [(0, "1.0.0", True, True)]
    # A -> B -> A, each tested and confirmed.
    update(client, firmware, "B", 1)
    assert client.images() == [(0, "1.0.0", False, True), (1, "2.0.0", True, False)]
    client.say("confirm")
    update(client, firmware, "A", 0)
    assert client.images() == [(0, "1.0.0", True, False), (1, "2.0.0", False, True)]
    client.say("confirm")
    assert client.images() == [(0, "1.0.0", True, True), (1, "2.0.0", False, True)]
    # B again, not confirmed: the next restart goes back.
    update(client, firmware, "B", 1)
    assert client.images()[1] == (1, "2.0.0", True, False)
    client.say("reset")
    assert client.images()[0] == (0, "1.0.0", True, True)
    # A stat and a setting.
    assert "sensor" in str(client.say("stats")) and "inferences" in str(client.say("stat", "sensor"))
    client.say("write", "place", "hall 3")
    said = str(client.say("read", "place"))
    assert "hall 3" in said or b"hall 3".hex() in said
    client.say("delete", "place")


def test_toolkit_updates_in_one_step(start: Callable[[str], tuple[Firmware, str]]) -> None:
    firmware, port = start(BOARD)
    client = Client("mcumgr-toolkit", port)
    client.say("update", str(firmware.image("B", 1)))
    assert client.images() == [(0, "1.0.0", False, True), (1, "2.0.0", True, False)]


def test_smpmgr_learns_the_size_of_frames(start_board: StartBoard) -> None:
    """It asks for the parameters whenever it connects, and shows them only in its log."""
    board = start_board(pty=True)
    assert board.pty is not None
    code, said = Client("smpmgr", board.pty).run("--loglevel", "DEBUG", "os", "echo", "hello tinyfleet")
    assert code == 0 and "r='hello tinyfleet'" in said and "buf_size=4096" in said, said
    with connect(board.url) as device:
        assert device.hello().boot_id == 1
