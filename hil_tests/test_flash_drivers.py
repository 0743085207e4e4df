"""Flash drivers on emulated boards: the rules of NOR flash, and settings on it.

The MPS2 boards' flash is a driver in software. The nRF5 driver runs on QEMU's micro:bit, whose controller is emulated; the flash
of that machine is lost at its end, so that the board's own NVM is a file, and here areas are put into the flash.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.batch import STRICT
from tests.support.guard_board import CODE, SANDBOXED, board_facts
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.target import manifest_path
from tinyfleet_codegen.wire.ids import Status

PROGRAM = Path(__file__).parents[1] / "tests/support/flash_program"
BOARDS = ("microbit", "mps2_an385_v6m", "mps2_an386", "mps2_an505", "mps3_an547")
PAGE = 1024
FLASH_AT = 0x38000


def manifest_of(board: str) -> dict[str, Any]:
    """The board's; the micro:bit's with the end of its flash as NVM and the driver of the larger chips of its family."""
    manifest: dict[str, Any] = json.loads(manifest_path(board).read_text(encoding="utf-8"))
    facts = manifest["tinyfleet"]
    if board == "microbit":
        facts["sources"] = [*(name for name in facts["sources"] if "semihosting" not in name), "nrf5/flash"]
        facts["memory"]["nvm"] = {"origin": hex(FLASH_AT), "bytes": 0x8000, "page_bytes": PAGE, "unit_bytes": 4}
        facts["flash_map"][0]["bytes"] = FLASH_AT
        offset = 0
        for name, pages in (("settings_0", 2), ("settings_1", 2), ("model_0", 4), ("model_1", 4)):
            facts["flash_map"].append({"name": name, "memory": "nvm", "offset": offset, "bytes": pages * PAGE})
            offset += pages * PAGE
        del facts["qemu"]["nvm"]
        facts["defines"] |= {"TYF_BOARD_FLASH_BASE": "0x4001e000", "TYF_CFG_GUARD": 0}
    return manifest


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Of a board, built once."""

    @cache
    def build(board: str) -> Path:
        firmware, manifest, read = firmware_dir(), manifest_of(board), board_facts()
        facts = manifest["tinyfleet"]
        folders = [firmware / "arch/cortex_m", PROGRAM, *(firmware / "boards" / name for name in read.source_folders(facts))]
        libraries = [firmware / "lib" / name / "src" for name in ("core", "flash_map", "settings")]
        sources = [path for folder in (*folders, *libraries) for path in sorted([*folder.glob("*.c"), *folder.glob("*.S")])]
        output = tmp_path_factory.mktemp("flash") / f"{board}.elf"
        command = [
            *(str(find_arm_gcc()), *STRICT, *CODE, *read.cpu_flags(manifest["build"])),
            *(f"-D{name}={str(value).replace(chr(92), '')}" for name, value in read.defines(board, manifest["build"], facts)),
            *(f"-I{path}" for path in (*sorted(firmware.glob("lib/*/include")), *folders)),
            *map(str, sources),
            *("--specs=nano.specs", "--specs=nosys.specs", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings"),
            *(f"-Wl,--defsym={name}={value}" for name, value in read.linker_symbols(facts)),
            *("-T", str(firmware / "arch/cortex_m/link.ld"), "-o", str(output)),
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert result.returncode == 0, result.stderr[:4000]
        return output

    return build


class FlashProgram:
    """The program on a running board."""

    def __init__(self, board: EmulatedBoard, connection: socket.socket) -> None:
        self._board = board
        self._connection = connection

    def ask(self, letter: str) -> list[tuple[str, int]]:
        """Have it do one check, and read the answer."""
        self._connection.sendall(letter.encode())
        answer = b""
        while not answer.endswith(b"\n"):
            data = self._connection.recv(4096)
            assert data, self._board.output()
            answer += data
        return [(name, int(value)) for name, _, value in (word.partition("=") for word in answer.decode().split())]


@pytest.fixture
def start(program: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[[str], FlashProgram]]:
    """Starts boards, and stops them."""
    with ExitStack() as running:

        def run(board: str) -> FlashProgram:
            emulated = running.enter_context(EmulatedBoard.start(board, program(board), tmp_path / f"{board}.nvm"))
            address = ("127.0.0.1", int(emulated.url.rpartition(":")[2]))
            return FlashProgram(emulated, running.enter_context(socket.create_connection(address, 30)))

        yield run


@pytest.mark.parametrize("board", BOARDS)
def test_driver_erases_pages_and_programs_units_by_the_rules(board: str, start: Callable[[str], FlashProgram]) -> None:
    # A chip clears bits whatever stands there; the driver in software refuses, and nothing changes.
    cell = 0xF0 & 0x0F if board == "microbit" else 0xF0
    assert start(board).ask("r") == [
        *[("erase", 0), ("left", 0)] * 3,
        ("again", 0),
        *((name, 0) for name in ("before", "middle", "behind", "program", "data", "around")),
        ("over", Status.ERR_FLASH),
        ("cell", cell),
        ("unaligned", Status.ERR_ARG),
    ]


@pytest.mark.parametrize("board", [board for board in BOARDS if board in ("microbit", *SANDBOXED)])
def test_store_without_the_driver_changes_nothing(board: str, start: Callable[[str], FlashProgram]) -> None:
    # Where there is a memory protection unit the store faults, which resets the board: its next start says the rest.
    assert start(board).ask("w") == [("erase", 0), ("stored", 0)]


@pytest.mark.parametrize("board", ["microbit", "mps2_an385_v6m"])
def test_settings_live_in_it_over_many_times_its_size(board: str, start: Callable[[str], FlashProgram]) -> None:
    assert start(board).ask("s") == [("start", 0), ("wrong", 0), ("keys", 4)]
