"""The nRF5 flash driver on QEMU's micro:bit, whose controller is emulated: the rules of its flash, and settings on it.

The flash of that machine is lost at its end, so that the board's own NVM is a file; here areas are put into the flash.
"""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.batch import STRICT
from tests.support.guard_board import CODE, board_facts
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.target import manifest_path
from tinyfleet_codegen.wire.ids import Status

PROGRAM = Path(__file__).parents[1] / "tests/support/nvmc_program"
PAGE = 1024
FLASH_AT = 0x38000

pytestmark = pytest.mark.timeout(60)


def manifest_with_areas() -> dict[str, Any]:
    """The micro:bit's, with the end of its flash as NVM and the driver of the larger chips of its family."""
    manifest: dict[str, Any] = json.loads(manifest_path("microbit").read_text(encoding="utf-8"))
    facts = manifest["tinyfleet"]
    facts["sources"] = ["nrf5" if name == "nrf5/semihosting_nvm" else name for name in facts["sources"]]
    facts["sources"] = [*dict.fromkeys(facts["sources"]), "nrf5/flash"]
    facts["memory"]["nvm"] = {"origin": hex(FLASH_AT), "bytes": 0x8000, "page_bytes": PAGE, "unit_bytes": 4}
    facts["flash_map"][0]["bytes"] = FLASH_AT
    offset = 0
    for name, pages in (("settings_0", 2), ("settings_1", 2), ("crash", 4)):
        facts["flash_map"].append({"name": name, "memory": "nvm", "offset": offset, "bytes": pages * PAGE})
        offset += pages * PAGE
    del facts["qemu"]["nvm"]
    facts["defines"] |= {"TYF_BOARD_FLASH_BASE": "0x4001e000", "TYF_CFG_GUARD": 0}
    return manifest


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    firmware, manifest, read = firmware_dir(), manifest_with_areas(), board_facts()
    facts = manifest["tinyfleet"]
    folders = [firmware / "arch/cortex_m", PROGRAM, *(firmware / "boards" / name for name in read.source_folders(facts))]
    libraries = [firmware / "lib" / name / "src" for name in ("core", "flash_map", "settings")]
    sources = [path for folder in (*folders, *libraries) for path in sorted([*folder.glob("*.c"), *folder.glob("*.S")])]
    output = tmp_path_factory.mktemp("nvmc") / "nvmc.elf"
    command = [
        *(str(find_arm_gcc()), *STRICT, *CODE, *read.cpu_flags(manifest["build"])),
        *(f"-D{name}={str(value).replace(chr(92), '')}" for name, value in read.defines("microbit", manifest["build"], facts)),
        *(f"-I{path}" for path in (*sorted(firmware.glob("lib/*/include")), *folders)),
        *map(str, sources),
        *("--specs=nano.specs", "--specs=nosys.specs", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings"),
        *(f"-Wl,--defsym={name}={value}" for name, value in read.linker_symbols(facts)),
        *("-T", str(firmware / "arch/cortex_m/link.ld"), "-o", str(output)),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr[:4000]
    return output


def ask(elf: Path, nvm: Path, letter: bytes) -> list[tuple[str, int]]:
    """Start the program, have it do one check, and read the answer."""
    with (
        EmulatedBoard.start("microbit", elf, nvm) as board,
        socket.create_connection(("127.0.0.1", int(board.url.rpartition(":")[2])), 30) as connection,
    ):
        connection.sendall(letter)
        answer = b""
        while not answer.endswith(b"\n"):
            data = connection.recv(4096)
            assert data, board.output()
            answer += data
    return [(name, int(value)) for name, _, value in (word.partition("=") for word in answer.decode().split())]


def test_driver_erases_pages_and_programs_words_by_the_rules_of_the_chip(elf: Path, tmp_path: Path) -> None:
    assert ask(elf, tmp_path / "a.nvm", b"r") == [
        *[("erase", 0), ("left", 0)] * 3,
        ("again", 0),
        *((name, 0) for name in ("before", "middle", "behind", "program", "data", "around")),
        ("over", Status.ERR_FLASH),
        ("and", 0xF0 & 0x0F),
        ("store", 0),
        ("unaligned", Status.ERR_ARG),
    ]


def test_settings_live_in_its_flash_over_many_times_its_size(elf: Path, tmp_path: Path) -> None:
    assert ask(elf, tmp_path / "a.nvm", b"s") == [("start", 0), ("wrong", 0), ("keys", 4)]
