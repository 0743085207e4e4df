"""The crash record's way into flash: the newest is found, whatever power cut came in between."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

import pytest

from tests.support.flash_library import AFTER, BEFORE, TORN, FlashLibrary, build_flash_library
from tinyfleet_codegen.target import board_names, manifest_path
from tinyfleet_codegen.wire.crash import CRASH_BYTES, CrashRecord, CrashWhy, decode_crash
from tinyfleet_codegen.wire.ids import Status

AREA, AREA_BYTES = 0xE000, 0x2000
MEMORY = Path(__file__).parents[1] / "support/crash_memory.c"


def record(number: int) -> CrashRecord:
    return CrashRecord(CrashWhy.FAULT, 3, 14, 0, number, 2, 3, 4, number, 1, 7, bytes(32), bytes(8), tuple(range(16)))


class CrashStore(FlashLibrary):
    """A board that has nothing but crashes."""

    def __init__(self, library: Path) -> None:
        super().__init__(library)
        self.c.tyf_crash_read.restype = ctypes.POINTER(ctypes.c_uint8)

    def start(self, crashed: CrashRecord | None) -> int:
        """Power on; ``crashed``: what the reset before left in memory, None when power was off."""
        self.c.tyf_host_flash_power_on()
        self.c.crash_memory_put(crashed.encode() if crashed else None)
        return int(self.c.tyf_crash_start())

    def newest(self) -> CrashRecord | None:
        """What a host reads."""
        count = ctypes.c_uint32()
        data = self.c.tyf_crash_read(ctypes.byref(count))
        if not count.value:
            return None
        assert count.value == CRASH_BYTES
        found = decode_crash(bytes(data[:CRASH_BYTES]))
        assert found is not None
        return found


def geometries() -> list[tuple[int, int]]:
    """Page and unit of every board with an area for crashes."""
    found = set()
    for board in board_names():
        facts = json.loads(manifest_path(board).read_text())["tinyfleet"]
        if any(area["name"] == "crash" for area in facts["flash_map"]) and "page_bytes" in facts["memory"]["nvm"]:
            found.add((facts["memory"]["nvm"]["page_bytes"], facts["memory"]["nvm"]["unit_bytes"]))
    return sorted(found)


@pytest.fixture(scope="module", params=[geometry for geometry in geometries() if 2 * geometry[0] <= AREA_BYTES], ids=str)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CrashStore:
    folder = tmp_path_factory.mktemp("crash")
    return CrashStore(build_flash_library(folder, libraries=("flash_map", "crash"), geometry=request.param, sources=[MEMORY]))


@pytest.mark.parametrize("content", [bytes(AREA + AREA_BYTES), b"\xff" * (AREA + AREA_BYTES), bytes(range(256)) * 256])
def test_the_newest_of_many_crashes_outlives_power(store: CrashStore, content: bytes) -> None:
    store.open(content)
    assert store.start(None) == Status.OK and store.newest() is None
    for number in range(60):  # More than both pages hold.
        assert store.start(record(number)) == Status.OK
        assert store.start(None) == Status.OK and store.newest() == record(number)
    assert store.c.tyf_host_flash_violations() == 0


def test_the_same_record_is_kept_once(store: CrashStore) -> None:
    store.open(bytes(AREA + AREA_BYTES))
    store.start(record(1))
    before = store.operations()
    assert before > 0
    store.start(record(1))
    assert store.operations() == before


def test_after_a_cut_anywhere_the_newest_is_the_old_or_the_new_one(store: CrashStore) -> None:
    cuts = 0
    for kept in (0, 1, 5, 23, 24, 25, 46, 47):  # Empty, and around the end of a page.
        store.open(bytes(AREA + AREA_BYTES))
        for number in range(kept):
            store.start(record(number))
        content, old = bytes(store.memory.raw), record(kept - 1) if kept else None
        store.open(content)
        store.start(record(kept))
        for operation in range(1, store.operations() + 1):
            for how in (BEFORE, TORN, AFTER):
                store.open(content)
                store.cut(operation, how)
                store.start(record(kept))
                assert not store.is_on()
                # The memory lost power as well.
                assert store.start(None) == Status.OK and store.newest() in (old, record(kept)), (kept, operation, how)
                # The board goes on: the next crash is kept.
                assert store.start(record(1000)) == Status.OK
                assert store.start(None) == Status.OK and store.newest() == record(1000), (kept, operation, how)
                cuts += 1
    assert cuts > 100 and store.c.tyf_host_flash_violations() == 0
