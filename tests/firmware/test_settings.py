"""Settings: what a call changed is there after any power cut, and the rest is as it was."""

from __future__ import annotations

import json
import random
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.support.flash_library import AFTER, BEFORE, TORN
from tests.support.settings_store import AREA_BYTES, AREAS, FLASH_BYTES, SettingsStore, build_settings
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.target import board_names, manifest_path
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.settings import MAX_KEY_BYTES, MAX_VALUE_BYTES, read_log

KEYS = [b"a", b"b", b"model/live", b"k" * MAX_KEY_BYTES]
SEED = 20


def geometries() -> list[tuple[int, int]]:
    """Page and unit of every board that has flash of its own."""
    found = set()
    for board in board_names():
        nvm = json.loads(manifest_path(board).read_text())["tinyfleet"]["memory"]["nvm"]
        if "page_bytes" in nvm:
            found.add((nvm["page_bytes"], nvm["unit_bytes"]))
    return sorted(found)


@pytest.fixture(scope="module", params=geometries(), ids=lambda geometry: "-".join(map(str, geometry)))
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SettingsStore:
    return SettingsStore(build_settings(tmp_path_factory.mktemp("settings"), geometry=request.param), request.param[1])


@pytest.fixture(scope="module")
def mps2(tmp_path_factory: pytest.TempPathFactory) -> SettingsStore:
    return SettingsStore(build_settings(tmp_path_factory.mktemp("settings")))


def fill(store: SettingsStore, room: int) -> None:
    """Write until the log has at most so many bytes left, at least 40 and a unit."""
    count = 0
    while (left := bytes_left(store)) > room:
        count += 1
        assert store.change(b"filler", count.to_bytes(4, "little") * (16 if left - room > 200 else 2)) == Status.OK


def bytes_left(store: SettingsStore) -> int:
    """Behind the last record of the log in force."""
    areas = [store.memory.raw[at : at + AREA_BYTES] for at in AREAS]
    logs = [(log.generation, area) for area in areas if (log := read_log(area, store.unit_bytes))]
    return AREA_BYTES - len(max(logs)[1].rstrip(b"\xff")) if logs else AREA_BYTES + 1


def test_values_come_back_and_outlive_a_start(store: SettingsStore) -> None:
    store.new()
    assert store.start() == Status.OK and store.all() == {}
    values = {b"a": b"", b"b": b"1", b"k" * MAX_KEY_BYTES: bytes(range(256))}
    for key, value in values.items():
        assert store.change(key, value) == Status.OK
    for _ in range(2):
        assert store.all() == values == store.in_flash()
        assert {key: store.get(key) for key in values} == values and store.get(b"c") is None
        assert store.start() == Status.OK
    assert store.change(b"b", None) == Status.OK == store.change(b"b", None)
    assert store.get(b"b") is None and b"b" not in store.all()
    assert store.settle() == []


def test_setting_what_is_set_writes_nothing(store: SettingsStore) -> None:
    store.new()
    store.start()
    store.change(b"a", b"1")
    before = store.operations()
    assert store.change(b"a", b"1") == Status.OK == store.change(b"never", None) and store.operations() == before


def test_what_cannot_be_is_refused_and_nothing_is_written(mps2: SettingsStore) -> None:
    mps2.new()
    assert mps2.c.tyf_settings_set(b"a", b"1", 1) == Status.ERR_STATE, "before a start"
    mps2.start()
    for key in (b"", b"k" * (MAX_KEY_BYTES + 1)):
        assert mps2.change(key, b"1") == mps2.change(key, None) == Status.ERR_ARG
    assert mps2.change(b"a", bytes(MAX_VALUE_BYTES + 1)) == Status.ERR_ARG
    assert mps2.operations() == 0
    mps2.open(b"\xff" * AREAS[1])
    assert mps2.c.tyf_settings_start() == Status.ERR_STATE == mps2.change(b"a", b"1"), "only one area"


def test_small_buffer_gets_nothing_but_the_size(mps2: SettingsStore) -> None:
    import ctypes  # noqa: PLC0415

    mps2.new()
    mps2.start()
    mps2.change(b"a", b"12345")
    buffer, count = ctypes.create_string_buffer(b"....", 4), ctypes.c_uint32()
    assert mps2.c.tyf_settings_get(b"a", buffer, 4, ctypes.byref(count)) == Status.ERR_TOO_LARGE
    assert (buffer.raw, count.value) == (b"....", 5)


def test_full_store_refuses_and_keeps_what_it_has(store: SettingsStore) -> None:
    store.new()
    store.start()
    count = 0
    while store.change(b"%d" % count, bytes(MAX_VALUE_BYTES)) == Status.OK:
        count += 1
    assert count >= 30 and store.change(b"%d" % count, bytes(MAX_VALUE_BYTES)) == Status.ERR_TOO_LARGE
    assert store.settle() == [] and len(store.promised) == count
    assert store.change(b"0", b"other") == Status.OK and store.change(b"1", None) == Status.OK
    assert store.change(b"%d" % count, bytes(MAX_VALUE_BYTES)) == Status.OK
    store.start()
    assert store.settle() == []


def test_log_of_a_newer_version_is_left_alone(mps2: SettingsStore) -> None:
    mps2.new()
    mps2.start()
    mps2.change(b"a", b"1")
    head = struct.pack("<IHHI", 0x53465954, 2, 0, 9)
    content = bytearray(mps2.memory.raw)
    content[AREAS[1] : AREAS[1] + 16] = head + struct.pack("<I", zlib.crc32(head))
    mps2.open(bytes(content))
    assert mps2.c.tyf_settings_start() == Status.ERR_VERSION
    assert mps2.c.tyf_settings_set(b"a", b"2", 1) == Status.ERR_VERSION == mps2.c.tyf_settings_delete(b"a")
    assert mps2.operations() == 0 and mps2.memory.raw == bytes(content)


def test_last_generation_is_not_followed_by_the_first(mps2: SettingsStore) -> None:
    head = struct.pack("<IHHI", 0x53465954, 1, 0, 0xFFFFFFFF)
    content = bytearray(b"\xff" * FLASH_BYTES)
    content[AREAS[0] : AREAS[0] + 16] = head + struct.pack("<I", zlib.crc32(head))
    content[AREAS[0] + AREA_BYTES - 1] = 0  # Nothing may be written behind this log.
    mps2.open(bytes(content))
    assert mps2.c.tyf_settings_start() == Status.OK
    assert mps2.c.tyf_settings_set(b"a", b"1", 1) == Status.ERR_STATE and mps2.operations() == 0


def test_any_bytes_are_a_store(mps2: SettingsStore) -> None:
    source = random.Random(SEED)
    for _ in range(100):
        mps2.new()
        mps2.start()
        for _ in range(20):
            mps2.change(source.choice(KEYS), source.randbytes(source.randrange(40)))
        content = bytearray(mps2.memory.raw)
        for _ in range(source.choice((1, 10, 1000))):
            content[AREAS[0] + source.randrange(source.choice((600, 2 * AREA_BYTES)))] = source.choice((0, 0xFF, source.randrange(256)))
        mps2.open(bytes(content))
        assert mps2.c.tyf_settings_start() == Status.OK
        assert mps2.all() == mps2.in_flash()
        for key in KEYS:
            assert mps2.change(key, b"new") == Status.OK and mps2.get(key) == b"new"
        mps2.start()
        assert mps2.all() == mps2.in_flash() and all(mps2.get(key) == b"new" for key in KEYS)
        assert mps2.c.tyf_host_flash_violations() == 0


def sweep(store: SettingsStore, stride: int = 1) -> list[str]:
    """Changes over the end of a log, with every operation cut; what went wrong, the first few."""
    changes: list[tuple[bytes, bytes | None]] = [
        (b"a", b"first"),
        (b"b", b"x" * 60),
        (b"a", None),
        (b"model/live", b"y" * 100),
        (b"b", b"z" * 256),
        (b"a", b"again"),
        (b"b", None),
    ]
    store.new()
    store.start()
    store.change(b"a", b"before")
    store.change(b"c", b"stays")
    fill(store, room=400)
    base, promised = store.memory.raw, dict(store.promised)

    def begin() -> None:
        store.new(base)
        store.promised = dict(promised)
        store.start()
        store.cut(0, BEFORE)

    def run() -> None:
        for change in changes:
            if not store.is_on():
                return
            assert store.change(*change) == Status.OK or not store.is_on()

    begin()
    run()
    operations, wrong = store.operations(), []
    assert operations >= 12
    for operation in range(1, operations + 1, stride):
        for how, seed in ((BEFORE, 0), (TORN, 0), (TORN, operation + 1), (AFTER, 0)):
            begin()
            store.c.tyf_host_flash_tear(seed)
            store.cut(operation, how)
            run()
            assert not store.is_on()
            assert store.start() == Status.OK
            here = store.settle()
            # A second cut, in what is written first.
            store.cut(1 + operation % 7, TORN)
            run()
            assert store.start() == Status.OK
            here += store.settle()
            run()
            here += store.settle()
            if store.get(b"c") != b"stays":
                here.append("c is gone")
            wrong += [f"operation {operation} cut {how} seed {seed}: {text}" for text in here]
        if len(wrong) > 3:
            break
    return wrong


def test_no_cut_loses_or_invents_a_value(store: SettingsStore) -> None:
    # All operations on the emulated boards' flash, a part on the others'.
    assert sweep(store, stride=1 if store.unit_bytes == 8 else 5) == []


class Machine(RuleBasedStateMachine):
    """The store against a dict."""

    store: SettingsStore

    @initialize(room=st.sampled_from([40, 200, 1000, AREA_BYTES]))
    def begin(self, room: int) -> None:
        self.store.new()
        assert self.store.start() == Status.OK
        fill(self.store, room)

    @rule(key=st.sampled_from(KEYS), value=st.one_of(st.none(), st.binary(max_size=12), st.binary(min_size=200, max_size=256)))
    def change(self, key: bytes, value: bytes | None) -> None:
        assert self.store.change(key, value) == Status.OK

    @precondition(lambda self: self.store.is_on())
    @rule(
        key=st.sampled_from(KEYS),
        value=st.one_of(st.none(), st.binary(max_size=256)),
        operation=st.one_of(st.integers(1, 6), st.integers(1, 200)),
        how=st.sampled_from([BEFORE, TORN, AFTER]),
        seed=st.integers(0, 2**32 - 1),
    )
    def change_with_cut(self, key: bytes, value: bytes | None, operation: int, how: int, seed: int) -> None:
        self.store.c.tyf_host_flash_tear(seed)
        self.store.cut(operation, how)
        status = self.store.change(key, value)
        note(f"status {status} on {self.store.is_on()}")
        self.store.cut(0, BEFORE)
        if not self.store.is_on():
            assert self.store.start() == Status.OK

    @rule()
    def restart(self) -> None:
        assert self.store.start() == Status.OK

    @invariant()
    def promises_are_kept(self) -> None:
        if self.store.memory:
            assert self.store.settle() == []


def test_store_behaves_as_a_dict_that_survives_power_cuts(mps2: SettingsStore) -> None:
    class OnStore(Machine):
        store = mps2

    OnStore.TestCase.settings = settings(max_examples=1)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        OnStore,
        settings=settings(
            max_examples=30, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
        ),
    )


MUTANTS = {
    "header before the records": (
        "    end = first_record();\n    for (uint32_t at = first_record(); status == TYF_OK && next_record",
        "    status = status == TYF_OK ? program_header(area, generation) : status;\n"
        "    end = first_record();\n    for (uint32_t at = first_record(); status == TYF_OK && next_record",
        "    if (status == TYF_OK) {\n        status = program_header(area, generation);\n    }\n",
        "",
    ),
    "no check of a record's crc": ("return crc == tyf_get_u32_le(r->head + RECORD_CRC_AT);", "(void)crc;\n    return true;"),
    "no check of the header's crc": ("tyf_get_u32_le(header + HEADER_CRC_AT) != tyf_crc32(0, header, HEADER_CRC_AT)", "false"),
    "old log erased before the copy is complete": (
        "        status = program_record(area, generation, end, c);\n",
        "        (void)tyf_area_erase(store.area, 0);\n        status = program_record(area, generation, end, c);\n",
    ),
    "written on behind a torn record": (
        "    store.needs_new_log = store.needs_new_log || !is_erased(store.end);\n",
        "    (void)is_erased;\n",
    ),
    "written on behind a damaged record": (
        "        store.needs_new_log = store.needs_new_log || !is_intact(&r);\n",
        "        store.end = r.next;\n        if (!is_intact(&r)) {\n            store.end = r.at;\n            return;\n        }\n",
    ),
    "older log in force": (
        "if (generation > store.generation) {",
        "if (generation != 0 && (store.generation == 0 || generation < store.generation)) {",
    ),
    "only the first page erased": ("page += TYF_FLASH_PAGE_BYTES", "page += area_bytes"),
    "deleted values come back": (
        "        if (has_key(&later, r->key) && is_intact(&later)) {",
        "        if (later.head[0] == TYF_SETTINGS_KIND_SET && has_key(&later, r->key) && is_intact(&later)) {",
    ),
    "generation not counted": (
        "const uint32_t generation = store.generation + 1u;",
        "const uint32_t generation = store.generation > 0 ? store.generation : 1u;",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_store_is_seen(mutant: str, tmp_path: Path) -> None:
    shutil.copytree(firmware_dir(), tmp_path / "firmware", ignore=shutil.ignore_patterns(".pio"))
    source = tmp_path / "firmware/lib/settings/src/settings.c"
    text = source.read_text()
    edits = MUTANTS[mutant]
    for before, after in zip(edits[::2], edits[1::2], strict=True):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    source.write_text(text)
    broken = SettingsStore(build_settings(tmp_path, firmware=tmp_path / "firmware"))
    try:
        assert sweep(broken) != []
    except AssertionError:
        return  # It could not even go on.
