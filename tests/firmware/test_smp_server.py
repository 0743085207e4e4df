"""The SMP server: versions, errors, and the commands of group os."""

from __future__ import annotations

import struct

import cbor2
import pytest

from tests.firmware.program_process import GROUP_OS, GROUP_TINYFLEET, READ, WRITE, FirmwareProgram, message
from tinyfleet.link.framing import FrameDecoder, encode_message

EUNKNOWN, EINVAL, ENOTSUP, ETOONEW = 1, 3, 8, 13


def test_echo_is_read_and_write(board: FirmwareProgram) -> None:
    for op in (READ, WRITE):
        for version in (0, 1):
            assert board.command(op, GROUP_OS, 0, {"d": "hällo"}, version=version) == {"r": "hällo"}


def test_parameters_and_application_info(board: FirmwareProgram) -> None:
    assert board.command(READ, GROUP_OS, 6, {}) == {"buf_size": 1024, "buf_count": 2}
    assert board.command(READ, GROUP_OS, 7, {"format": "s"}) == {"output": "sensor host"}


def test_task_statistics_have_the_fields_of_the_protocol(board: FirmwareProgram) -> None:
    fields = {"prio", "tid", "state", "stkuse", "stksiz", "cswcnt", "runtime", "last_checkin", "next_checkin"}
    board.ask("A", struct.pack("<Q", 5_000_000))
    tasks = board.command(READ, GROUP_OS, 2, {})["tasks"]
    assert set(tasks) == {"main"} and set(tasks["main"]) == fields
    assert tasks["main"]["runtime"] == 5000


def test_reset_answers_before_it_resets_and_takes_parameters_of_stock_clients(board: FirmwareProgram) -> None:
    assert board.command(WRITE, GROUP_OS, 5, {"force": 1}) == {}
    assert int.from_bytes(board.ask("R"), "little") == 1
    assert board.command(READ, GROUP_OS, 5, {}) == {"rc": ENOTSUP}
    assert int.from_bytes(board.ask("R"), "little") == 1


@pytest.mark.parametrize(("op", "group", "command"), [(READ, 0, 99), (READ, 1, 99), (WRITE, 64, 0), (READ, 64, 200), (READ, 65535, 255)])
def test_unknown_commands_get_a_generic_error(board: FirmwareProgram, op: int, group: int, command: int) -> None:
    for version in (0, 1):
        assert board.command(op, group, command, {}, version=version) == {"rc": ENOTSUP}


def test_group_errors_are_typed_in_version_2_and_generic_in_version_1(board: FirmwareProgram) -> None:
    request = {"off": 99}
    assert board.command(READ, GROUP_TINYFLEET, 2, request) == {"err": {"group": 64, "rc": 5}}
    assert board.command(READ, GROUP_TINYFLEET, 2, request, version=0) == {"rc": EUNKNOWN}


def test_versions_that_are_too_new_are_told_so(board: FirmwareProgram) -> None:
    for version in (2, 3):
        assert board.command(READ, GROUP_OS, 6, {}, version=version) == {"rc": ETOONEW}


def test_malformed_payloads_are_refused_and_counted_as_answered(board: FirmwareProgram) -> None:
    for payload in (b"\xff", b"\xa1", b"\x01", b"\xa0\x00", b"\xa1\x61d\x5b\xff\xff\xff\xff\xff\xff\xff\xff"):
        request = struct.pack(">BBHHBB", 8 | WRITE, 0, len(payload), 0, 1, 0) + payload
        (reply,) = board.exchange(request)
        assert cbor2.loads(reply[8:]) == {"rc": EINVAL}
    assert board.command(WRITE, GROUP_OS, 0, {"d": b"bytes"}) == {"rc": EINVAL}
    assert board.command(WRITE, GROUP_OS, 0, {}) == {"rc": EINVAL}
    assert board.command(READ, GROUP_TINYFLEET, 6, {})["bad_frames"] == 0


def test_messages_that_are_no_requests_are_dropped_and_counted(board: FirmwareProgram) -> None:
    good = message(WRITE, GROUP_OS, 0, {"d": "x"})
    bad = [good[:7], good[:-1], good + b"\0", *(bytes([8 | op]) + good[1:] for op in (1, 3, 4, 5, 6, 7))]
    for request in bad:
        assert board.exchange(request) == []
    assert board.command(READ, GROUP_TINYFLEET, 6, {})["bad_frames"] == len(bad)
    assert board.command(WRITE, GROUP_OS, 0, {"d": "x"}) == {"r": "x"}


def test_many_requests_in_one_write_each_get_an_answer(board: FirmwareProgram) -> None:
    text = b"".join(encode_message(message(WRITE, GROUP_OS, 0, {"d": "x" * 200}, sequence=i)) for i in range(200))
    replies = FrameDecoder().feed(board.ask("F", text))
    assert [reply[6] for reply in replies] == list(range(200))
