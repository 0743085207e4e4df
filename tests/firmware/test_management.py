"""The standard SMP groups on the host board: what stock clients ask, and what we refuse."""

from __future__ import annotations

import struct

import pytest

from tests.firmware.program_process import GROUP_OS, GROUP_TINYFLEET, READ, WRITE, FirmwareProgram, nvm_image
from tests.support.signed_images import NVM_BYTES

GROUP_IMAGE, GROUP_STAT, GROUP_SETTINGS, GROUP_FS, GROUP_ENUM, GROUP_SESSION = 1, 2, 3, 8, 10, 65
EINVAL = 3
GROUPS = [GROUP_OS, GROUP_IMAGE, GROUP_STAT, GROUP_SETTINGS, GROUP_FS, GROUP_ENUM, GROUP_SESSION, GROUP_TINYFLEET]


@pytest.fixture
def board(program: FirmwareProgram) -> FirmwareProgram:
    """Switched on, with an identity and all areas of its flash."""
    program.power_on(nvm_image().ljust(NVM_BYTES, b"\xff"))
    return program


def error(group: int, code: int) -> dict[str, dict[str, int]]:
    return {"err": {"group": group, "rc": code}}


def test_statistics_are_those_of_the_application(board: FirmwareProgram) -> None:
    assert board.command(READ, GROUP_STAT, 1, {}) == {"stat_list": ["sensor"]}
    stats = board.command(READ, GROUP_STAT, 0, {"name": "sensor"})
    assert stats["name"] == "sensor"
    assert stats["fields"] == board.command(READ, GROUP_TINYFLEET, 6, {})
    for name in ("senso", "sensor2", "x" * 32):
        assert board.command(READ, GROUP_STAT, 0, {"name": name}) == error(GROUP_STAT, 2)
    for request in ({}, {"name": ""}, {"name": "x" * 33}, {"name": b"sensor"}):
        assert board.command(READ, GROUP_STAT, 0, request) == {"rc": EINVAL}


def test_enumeration_lists_every_group(board: FirmwareProgram) -> None:
    assert board.command(READ, GROUP_ENUM, 0, {}) == {"count": len(GROUPS)}
    assert board.command(READ, GROUP_ENUM, 1, {}) == {"groups": GROUPS}
    for index, group in enumerate(GROUPS):
        last = {"end": True} if index == len(GROUPS) - 1 else {}
        assert board.command(READ, GROUP_ENUM, 2, {"index": index}) == {"group": group, **last}
    assert board.command(READ, GROUP_ENUM, 2, {}) == {"group": 0}
    assert board.command(READ, GROUP_ENUM, 2, {"index": len(GROUPS)}) == error(GROUP_ENUM, 4)
    details = board.command(READ, GROUP_ENUM, 3, {"groups": [1]})["groups"]
    assert [entry["group"] for entry in details] == GROUPS
    assert {entry["name"] for entry in details} >= {"os", "stat", "tinyfleet"} and all(entry["handlers"] > 1 for entry in details)


def test_a_file_that_is_not_there_is_not_found(board: FirmwareProgram) -> None:
    for name in ("crash", "/crash", "crashes", "/", "x"):  # the board never crashed
        assert board.command(READ, GROUP_FS, 0, {"name": name, "off": 0}) == error(GROUP_FS, 3)
        assert board.command(READ, GROUP_FS, 1, {"name": name}) == error(GROUP_FS, 3)
        assert board.command(READ, GROUP_FS, 2, {"name": name}) == error(GROUP_FS, 3)
    assert board.command(READ, GROUP_FS, 2, {"name": "crash", "type": "md5"}) == error(GROUP_FS, 13)
    assert board.command(READ, GROUP_FS, 0, {"name": "crash"}) == {"rc": EINVAL}
    assert board.command(READ, GROUP_FS, 3, {}) == {"types": {"crc32": {"format": 0, "size": 4}, "sha256": {"format": 1, "size": 32}}}
    assert board.command(WRITE, GROUP_FS, 4, {}) == {}


def test_memory_pools_have_the_fields_of_the_protocol(board: FirmwareProgram) -> None:
    pools = board.command(READ, GROUP_OS, 3, {})
    assert set(pools) == {"arena", "telemetry", "windows"}
    assert all(set(pool) == {"blksiz", "nblks", "nfree", "min"} for pool in pools.values())
    assert pools["telemetry"]["nfree"] == pools["telemetry"]["nblks"] > 0


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:01",
        "2000-02-29T23:59:59",
        "2024-12-31T12:00:00",
        "2026-11-26T15:04:05",
        "2100-02-28T01:02:03",
        "2105-12-31T23:59:59",
    ],
)
def test_date_and_time_go_on_with_the_uptime(board: FirmwareProgram, text: str) -> None:
    assert board.command(READ, GROUP_OS, 4, {}) == error(GROUP_OS, 4)
    board.ask("A", struct.pack("<Q", 3_000_000))
    assert board.command(WRITE, GROUP_OS, 4, {"datetime": text + "+00:00"}) == {}
    assert board.command(READ, GROUP_OS, 4, {}) == {"datetime": text}


def test_a_day_later_is_the_next_date(board: FirmwareProgram) -> None:
    board.command(WRITE, GROUP_OS, 4, {"datetime": "2023-12-31T23:59:58"})
    for step_s, shown in ((2, "2024-01-01T00:00:00"), (86400 * 59, "2024-02-29T00:00:00"), (86400, "2024-03-01T00:00:00")):
        board.ask("A", struct.pack("<Q", step_s * 1_000_000))
        assert board.command(READ, GROUP_OS, 4, {}) == {"datetime": shown}


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T00:00:00",
        "2100-02-29T00:00:00",
        "2026-13-01T00:00:00",
        "2026-00-10T00:00:00",
        "2026-04-31T00:00:00",
        "2026-04-30T24:00:00",
        "2026-04-30T00:60:00",
        "1969-12-31T00:00:00",
        "2106-01-01T00:00:00",
        "2026-04-3x-00:00:00",
        "2026/04/30T00:00:00",
        "x" * 19,
    ],
)
def test_a_date_that_is_none_is_refused(board: FirmwareProgram, text: str) -> None:
    assert board.command(WRITE, GROUP_OS, 4, {"datetime": text}) == error(GROUP_OS, 2)
    assert board.command(READ, GROUP_OS, 4, {}) == error(GROUP_OS, 4)


def restart(board: FirmwareProgram) -> None:
    board.power_on(board.nvm())


def test_settings_outlive_a_restart(board: FirmwareProgram) -> None:
    values = {"place": b"hall 3", "a/b": bytes(range(256)), "empty": b"", "x" * 32: b"\xff" * 256}
    for name, value in values.items():
        assert board.command(READ, GROUP_SETTINGS, 0, {"name": name}) == error(GROUP_SETTINGS, 3)
        assert board.command(WRITE, GROUP_SETTINGS, 0, {"name": name, "val": value}) == {}
    for command, op in ((2, WRITE), (3, READ), (3, WRITE)):
        assert board.command(op, GROUP_SETTINGS, command, {}) == {}
    restart(board)
    for name, value in values.items():
        assert board.command(READ, GROUP_SETTINGS, 0, {"name": name}) == {"val": value}
    assert board.command(WRITE, GROUP_SETTINGS, 0, {"name": "place", "val": b"hall 4"}) == {}
    assert board.command(WRITE, GROUP_SETTINGS, 1, {"name": "a/b"}) == {}
    assert board.command(WRITE, GROUP_SETTINGS, 1, {"name": "a/b"}) == {}
    restart(board)
    assert board.command(READ, GROUP_SETTINGS, 0, {"name": "place"}) == {"val": b"hall 4"}
    assert board.command(READ, GROUP_SETTINGS, 0, {"name": "a/b"}) == error(GROUP_SETTINGS, 3)


def test_a_setting_is_cut_when_the_host_has_less_room(board: FirmwareProgram) -> None:
    board.command(WRITE, GROUP_SETTINGS, 0, {"name": "n", "val": bytes(range(100))})
    assert board.command(READ, GROUP_SETTINGS, 0, {"name": "n", "max_size": 10}) == {"val": bytes(range(10))}
    assert board.command(READ, GROUP_SETTINGS, 0, {"name": "n", "max_size": 200}) == {"val": bytes(range(100))}
    assert board.command(READ, GROUP_SETTINGS, 0, {"name": "n", "max_size": 9999}) == {"val": bytes(range(100)), "max_size": 256}


def test_settings_that_cannot_be_are_refused(board: FirmwareProgram) -> None:
    before = board.nvm()
    for name in ("x" * 33, "x" * 255):
        assert board.command(READ, GROUP_SETTINGS, 0, {"name": name}) == error(GROUP_SETTINGS, 2)
        assert board.command(WRITE, GROUP_SETTINGS, 0, {"name": name, "val": b"1"}) == error(GROUP_SETTINGS, 2)
        assert board.command(WRITE, GROUP_SETTINGS, 1, {"name": name}) == error(GROUP_SETTINGS, 2)
    # Names with a dot before them are the firmware's own, such as keys: hosts neither see nor change them here.
    for name in (".psk", ".", "a\0b"):
        assert board.command(READ, GROUP_SETTINGS, 0, {"name": name}) == error(GROUP_SETTINGS, 3)
        assert board.command(WRITE, GROUP_SETTINGS, 0, {"name": name, "val": b"1"}) == error(GROUP_SETTINGS, 6)
        assert board.command(WRITE, GROUP_SETTINGS, 1, {"name": name}) == error(GROUP_SETTINGS, 7)
    for request in ({"name": "", "val": b""}, {"name": "n"}, {"name": "n", "val": "text"}, {"name": "n", "val": bytes(257)}):
        assert board.command(WRITE, GROUP_SETTINGS, 0, request) == {"rc": EINVAL}
    assert board.nvm() == before


def test_a_store_that_is_full_says_so_and_keeps_what_it_has(board: FirmwareProgram) -> None:
    count = 0
    while (reply := board.command(WRITE, GROUP_SETTINGS, 0, {"name": f"n{count}", "val": bytes([count % 256]) * 256})) == {}:
        count += 1
        assert count < 100
    assert reply == {"rc": 2} and count > 50
    for number in (0, count - 1):
        assert board.command(READ, GROUP_SETTINGS, 0, {"name": f"n{number}"}) == {"val": bytes([number % 256]) * 256}
