"""Damaged messages by the ten thousand: the server never breaks, and an echo after each comes back."""

from __future__ import annotations

import struct

import pytest

from tests.firmware.program_process import GROUP_OS, GROUP_TINYFLEET, READ, WRITE, FirmwareProgram, message

CORPUS = [
    message(WRITE, GROUP_OS, 0, {"d": "some text that is echoed"}),
    message(READ, GROUP_OS, 2, {}),
    message(WRITE, GROUP_OS, 5, {}),
    message(READ, GROUP_OS, 6, {}, version=0),
    message(READ, GROUP_OS, 7, {"format": "snr"}),
    message(READ, GROUP_TINYFLEET, 0, {}),
    message(READ, GROUP_TINYFLEET, 1, {}),
    message(WRITE, GROUP_TINYFLEET, 2, {"off": 0, "data": bytes(24)}),
    message(WRITE, GROUP_TINYFLEET, 2, {"off": 10, "data": bytes(14)}),
    message(READ, GROUP_TINYFLEET, 2, {"off": 2}),
    message(WRITE, GROUP_TINYFLEET, 3, {"seed": 9, "first": 0, "count": 3}),
    message(WRITE, GROUP_TINYFLEET, 3, {"seed": 9, "first": 0, "layers": True, "from": 1}),
    message(READ, GROUP_TINYFLEET, 4, {"since": 0, "max": 20}),
    message(WRITE, GROUP_TINYFLEET, 5, {"stream": 3, "off": 0, "data": bytes(300)}),
    message(WRITE, GROUP_TINYFLEET, 5, {"stream": 3, "off": 50, "data": bytes(300)}),
    message(READ, GROUP_TINYFLEET, 6, {"x": [1, {"y": [2.5, None]}], "z": b"abc"}),
    message(WRITE, GROUP_OS, 0, {"d": "x" * 900}),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_messages_never_stop_the_server(board: FirmwareProgram, seed: int) -> None:
    rounds = 15_000
    corpus = b"".join(struct.pack("<H", len(data)) + data for data in CORPUS)
    done, answered = struct.unpack("<II", board.ask("Z", struct.pack("<II", seed, rounds) + corpus))
    assert done == rounds
    assert rounds // 4 < answered < rounds, "the mutations should reach the commands, but not only leave messages whole"
