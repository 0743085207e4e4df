"""The areas of flash and the host's flash that stands in for a board's: what may be done to them, and what a cut leaves."""

from __future__ import annotations

import json
import random
import re

import pytest

from tests.support.flash_library import AFTER, BEFORE, TORN, FlashLibrary, build_flash_library
from tinyfleet.link.memory import NVM_BYTES
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.target import manifest_path
from tinyfleet_codegen.wire.ids import Status

MODEL_0, CRASH = 2, 8
"""``tyf_area``"""
PAGE, UNIT = 4096, 8


@pytest.fixture(scope="module")
def flash(tmp_path_factory: pytest.TempPathFactory) -> FlashLibrary:
    return FlashLibrary(build_flash_library(tmp_path_factory.mktemp("flash"), libraries=("flash_map",)))


def test_host_flash_has_the_areas_of_the_emulated_boards() -> None:
    header = (firmware_dir() / "boards/host/include/tyf/host_board_facts.h").read_text()
    host = {name: int(value, 16) for name, value in re.findall(r"TYF_BOARD_AREA_(\w+) (0x[0-9a-f]+)u", header)}
    areas = json.loads(manifest_path("mps2_an386").read_text())["tinyfleet"]["flash_map"]
    nvm = [area for area in areas if area["memory"] == "nvm"]
    assert host == {f"{area['name'].upper()}_{end}": area[key] for area in nvm for end, key in (("ADDRESS", "offset"), ("BYTES", "bytes"))}
    assert max(area["offset"] + area["bytes"] for area in nvm) == NVM_BYTES
    assert f"TYF_BOARD_NVM_BYTES {NVM_BYTES:#x}u" in header


def test_area_is_programmed_once_between_two_erasures(flash: FlashLibrary) -> None:
    flash.open(bytes(NVM_BYTES))
    assert flash.c.tyf_area_program(CRASH, 0, b"12345678", 8) == Status.ERR_FLASH, "zeros are not erased"
    assert flash.c.tyf_area_erase(CRASH, 0) == Status.OK
    assert flash.c.tyf_area_program(CRASH, 8, b"12345678abc", 11) == Status.OK
    at = 0xE000
    assert flash.memory.raw[at : at + 32] == b"\xff" * 8 + b"12345678abc" + b"\xff" * 13
    assert flash.c.tyf_area_program(CRASH, 16, b"\xff" * 8, 8) == Status.ERR_FLASH
    assert flash.c.tyf_area_program(CRASH, 24, b"\xff" * 8, 8) == Status.OK
    assert flash.c.tyf_area_program(CRASH, 24, b"x", 1) == Status.ERR_FLASH, "a unit that was programmed as 0xff was programmed"
    assert flash.c.tyf_host_flash_violations() == 3
    assert flash.c.tyf_area_erase(CRASH, 0) == Status.OK
    assert flash.memory.raw[at : at + PAGE] == b"\xff" * PAGE and flash.memory.raw[at + PAGE] == 0


def test_what_is_outside_or_not_aligned_is_refused_and_nothing_is_done(flash: FlashLibrary) -> None:
    flash.open(b"\xff" * NVM_BYTES)
    size = flash.c.tyf_area_bytes(CRASH)
    for offset, count in ((size, 1), (size - 8, 9), (4, 8), (0xFFFFFFF8, 16), (8, 0xFFFFFFFF)):
        assert flash.c.tyf_area_program(CRASH, offset, b"x" * 16, count) == Status.ERR_ARG
    for offset in (size, 1, PAGE - 8, 0xFFFFF000):
        assert flash.c.tyf_area_erase(CRASH, offset) == Status.ERR_ARG
    assert flash.c.tyf_host_flash_violations() == 0 and flash.memory.raw == b"\xff" * NVM_BYTES


def test_area_that_lies_outside_the_memory_is_none(flash: FlashLibrary) -> None:
    flash.open(b"\xff" * 0xE000)
    assert flash.c.tyf_area_bytes(CRASH) == 0 and flash.c.tyf_area_data(CRASH) is None
    assert flash.c.tyf_area_erase(CRASH, 0) == Status.ERR_ARG
    assert flash.c.tyf_area_program(CRASH, 0, b"x", 1) == Status.ERR_ARG


@pytest.mark.parametrize("how", [BEFORE, TORN, AFTER])
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4])
def test_cut_leaves_what_came_before_it_and_nothing_after(flash: FlashLibrary, how: int, seed: int) -> None:
    data = random.Random(seed).randbytes(40 * UNIT)
    for operation in range(1, 42):
        flash.open(bytes(NVM_BYTES))
        flash.c.tyf_host_flash_tear(seed)
        flash.c.tyf_host_flash_cut(operation, how)
        statuses = [flash.c.tyf_area_erase(MODEL_0, 0), flash.c.tyf_area_program(MODEL_0, 0, data, len(data))]
        assert Status.ERR_FLASH in statuses and not flash.is_on()
        area = flash.memory.raw[0x40000 : 0x40000 + PAGE]
        if operation == 1:
            whole, partly = b"", slice(0, PAGE)
        else:
            whole, partly = data[: (operation - 2) * UNIT], slice((operation - 2) * UNIT, (operation - 1) * UNIT)
        assert area[: len(whole)] == whole
        after = data.ljust(PAGE, b"\xff")[partly] if operation > 1 else b"\xff" * PAGE
        before = bytes(PAGE) if operation == 1 else b"\xff" * UNIT
        assert {BEFORE: area[partly] == before, AFTER: area[partly] == after, TORN: area[partly] != after}[how]
        assert area[partly.stop :] == b"\xff" * (PAGE - partly.stop)
        assert flash.c.tyf_host_flash_violations() == 0
