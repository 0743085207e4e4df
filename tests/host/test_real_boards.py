"""Boards of which we have none: that they link, and that what was linked is what such a chip starts from.

These programs have never run. What is checked is what can be: the instruction set, where the chip looks for its first
words, and that nothing lies where the board keeps its non-volatile memory.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import tinyfleet.platformio_build
from hil_tests.conftest import small_package
from tinyfleet.board import UNTRIED, Board, load_board, load_boards
from tinyfleet.cli.app import main
from tinyfleet.elf import elf_symbols, elf_words
from tinyfleet.platformio_build import FirmwareBuild, build_firmware
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.errors import UsageError
from tinyfleet_codegen.target import board_names, load_target, manifest_path


@dataclass(frozen=True, slots=True)
class Expected:
    """What the chip's documents say.

    Attributes:
        arch: ``Tag_CPU_arch`` of the ELF.
        fp: ``Tag_FP_arch``, or None without a floating-point unit.
        start: Where the chip, or the boot block, finds stack pointer and first instruction.
        vectors: Address of the whole vector table.
    """

    arch: str
    fp: str | None
    start: int
    vectors: int


BOARDS = {
    "b_u585i_iot02a": Expected("v8-M.mainline", "FPv5/FP-D16 for ARMv8", 0x0800_0000, 0x0800_0000),
    "nrf52840_dk": Expected("v7E-M", "VFPv4-D16", 0x0000_0000, 0x0000_0000),
    "nucleo_f446re": Expected("v7E-M", "VFPv4-D16", 0x0800_0000, 0x0801_0000),
    "rpi_pico": Expected("v6S-M", None, 0x1000_0200, 0x1000_0200),
}


def crc32_of_rp2040(data: bytes) -> int:
    """CRC-32 as the RP2040's ROM has it: from all ones, bits not reflected, not inverted."""
    value = 0xFFFF_FFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C1_1DB7 if value >> 31 else 0)) & 0xFFFF_FFFF
    return value


def facts_of(board: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(manifest_path(board).read_text(encoding="utf-8"))["tinyfleet"]
    return facts


def area(facts: dict[str, Any], name: str) -> range:
    """The addresses of an area of the flash map."""
    found = next(area for area in facts["flash_map"] if area["name"] == name)
    begin = int(facts["memory"][found["memory"]]["origin"], 16) + found["offset"]
    return range(begin, begin + found["bytes"])


def test_every_board_that_is_no_emulated_one_is_tested_here_and_called_untried() -> None:
    real = {board.board_id for board in load_boards() if board.emulation is None}
    assert real == BOARDS.keys()
    assert not any(load_board(board).is_tried for board in real)
    assert all(board.is_tried for board in load_boards() if board.emulation is not None)


def row_of(board: Board) -> str:
    """The board's row in the guide."""
    target = load_target(board.board_id)
    proof = "emulated" if board.emulation is not None else "tried" if board.is_tried else "untried"
    sizes = " | ".join(f"{count // 1024} KiB" for count in (target.flash_bytes, target.ram_bytes))
    return f"| `{board.board_id}` | {proof} | {target.cpu} | {target.cpu_class} | {sizes} |"


def test_the_guide_lists_every_board_as_its_manifest_has_it() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/boards.md").read_text(encoding="utf-8").splitlines()
    assert [row_of(board) for board in load_boards() if row_of(board) not in guide] == [], "rows missing in docs/guides/boards.md"


@pytest.mark.parametrize("board", board_names())
def test_areas_of_the_flash_map_lie_in_their_memory_and_apart(board: str) -> None:
    facts = facts_of(board)
    areas = {entry["name"]: area(facts, entry["name"]) for entry in facts["flash_map"]}
    if "slot_0" in areas:  # The bootloader lies where a program without one lies.
        assert areas.pop("boot").start == areas["app"].start
    for entry in facts["flash_map"]:
        memory = facts["memory"][entry["memory"]]
        assert entry["offset"] + entry["bytes"] <= memory["bytes"], entry
    # A semihosting board's NVM is a file: it has offsets and no addresses.
    if facts.get("qemu", {}).get("nvm") != "semihosting":
        ordered = sorted(areas.values(), key=lambda found: found.start)
        assert all(one.stop <= other.start for one, other in pairwise(ordered)), areas


@pytest.mark.parametrize("board", BOARDS)
def test_flash_nvm_has_a_page_for_each_of_its_areas(board: str) -> None:
    facts = facts_of(board)
    nvm = facts["memory"]["nvm"]
    starts = [area(facts, name) for name in ("identity", "boot_state_0", "boot_state_1")]
    assert [found.start for found in starts] == [int(nvm["origin"], 16) + page * nvm["page_bytes"] for page in range(3)]
    assert int(nvm["origin"], 16) % nvm["page_bytes"] == 0 and {len(found) for found in starts} == {nvm["page_bytes"]}


@pytest.mark.parametrize("board", BOARDS)
def test_bench_app_links_for_the_chip_and_starts_where_it_looks(board: str, tmp_path: Path) -> None:
    expected, facts = BOARDS[board], facts_of(board)
    compile_model(small_package(), board, tmp_path / "model")
    built = build_firmware(board, tmp_path / "model", tmp_path / "out", app="bench")

    readelf = find_arm_gcc().with_name("arm-none-eabi-readelf")
    attributes = subprocess.run([readelf, "-A", built.elf], capture_output=True, text=True, check=True, timeout=300).stdout
    assert re.findall(r"Tag_CPU_arch: (\S+)", attributes) == [expected.arch]
    assert re.findall(r"Tag_FP_arch: (.+)", attributes) == ([expected.fp] if expected.fp else [])
    assert ("Tag_ABI_VFP_args: VFP registers" in attributes) == (expected.fp is not None)

    symbols = {symbol.name: symbol.address for symbol in elf_symbols(built.elf)}
    words = dict(elf_words(built.elf))
    first = [symbols["tyf_handler_stack_end"], symbols["Reset_Handler"] | 1]
    assert symbols["tyf_vectors"] == expected.vectors and expected.vectors % 512 == 0
    assert [words[expected.vectors], words[expected.vectors + 4]] == first
    assert [words[expected.start], words[expected.start + 4]] == first
    irq = facts["defines"]["TYF_BOARD_WAKE_TIMER_IRQ"]
    assert words[expected.vectors + 4 * (16 + irq)] & ~1 in set(symbols.values())

    image = facts["image"]
    loaded = [area(facts, image[key]) for key in ("area", "boot_area") if key in image]
    assert all(any(address in found for found in loaded) for address in words)
    ram = facts["memory"]["ram"]
    assert int(ram["origin"], 16) < symbols["end"] <= int(ram["origin"], 16) + ram["bytes"]
    assert 1_000 < built.flash_bytes < 40_000 and built.ram_bytes < ram["bytes"]

    if board == "rpi_pico":
        assert_boot_block_starts_the_program(built.image.read_bytes()[:256], expected.vectors)


def assert_boot_block_starts_the_program(block: bytes, vectors: int) -> None:
    """The ROM runs it only if its CRC is right; it must let the flash be read before it jumps."""
    assert crc32_of_rp2040(b"123456789") == 0x0376_E6E7  # the published check value of this CRC
    found = int.from_bytes(block[252:], "little")
    assert found == crc32_of_rp2040(block[:252]), f"the last word of boot_block.S must be {crc32_of_rp2040(block[:252]):#010x}"
    words = struct.unpack_from("<14I", block, 20)
    settings = list(zip(words[::2], words[1::2], strict=True))
    ssi = 0x1800_0000
    assert [register for register, _ in settings] == [*(ssi + offset for offset in (0x08, 0x14, 0x00, 0xF4, 0x04, 0x08)), 0]
    assert settings[0][1] == 0 and settings[5][1] == 1 and settings[6][1] == vectors
    assert settings[1][1] % 2 == 0 and 125e6 / settings[1][1] <= 33e6


def test_build_says_that_the_board_was_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elf = tmp_path / "firmware.elf"
    built = FirmwareBuild(elf, elf, elf, flash_bytes=1024, ram_bytes=1024, seconds=1.0)
    monkeypatch.setattr(tinyfleet.platformio_build, "build_firmware", lambda *_, **__: built)
    for board, is_tried in (("nrf52840_dk", False), ("mps2_an386", True)):
        command = ["tinyfleet", "build", "--board", board, "--model", str(tmp_path), "-o", str(tmp_path)]
        monkeypatch.setattr("sys.argv", command)
        assert main() == 0
        assert (UNTRIED in capsys.readouterr().out) is not is_tried
        monkeypatch.setattr("sys.argv", [*command, "--json"])
        assert main() == 0
        assert json.loads(capsys.readouterr().out)["tried"] is is_tried


@pytest.mark.parametrize("board", board_names())
def test_areas_are_whole_pages_and_come_in_pairs(board: str) -> None:
    facts = load_board(board)
    for name, found in facts.areas.items():
        if (found.memory == "nvm" or name.startswith("settings")) and facts.page_bytes is not None:
            assert found.address % facts.page_bytes == 0 and found.bytes % facts.page_bytes == 0, name
    for pair in ("slot", "model", "settings", "counter"):
        sizes = {facts.areas[name].bytes for name in (f"{pair}_0", f"{pair}_1") if name in facts.areas}
        assert len(sizes) <= 1 and (f"{pair}_0" in facts.areas) == (f"{pair}_1" in facts.areas)


@pytest.mark.parametrize("board", board_names())
def test_board_without_slots_says_that_it_cannot_be_updated(board: str) -> None:
    facts = load_board(board)
    assert (facts.updates == "direct_xip") == ("slot_0" in facts.areas), facts.updates
    if facts.updates == "none":
        with pytest.raises(UsageError, match=f"{board} cannot be updated over a link"):
            facts.require_updates()
        with pytest.raises(UsageError, match="no flash area 'slot_0'"):
            facts.require_area("slot_0")
    else:
        facts.require_updates()
        assert facts.require_area("slot_1").address % 512 == 0
