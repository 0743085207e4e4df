"""No two records of the fleet ever carry the same identity, over restarts and over boards of one image."""

from __future__ import annotations

import os
import signal

import numpy as np

from hil_tests.conftest import CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, StartBoard
from tinyfleet.device import SyncDevice, connect
from tinyfleet.emulator import EmulatedBoard
from tinyfleet_codegen.wire.nvm import read_boot_id
from tinyfleet_codegen.wire.record import decode_record

WINDOWS = 5
SAMPLES = np.arange((WINDOW_SAMPLES + (WINDOWS - 1) * HOP_SAMPLES) * CHANNELS, dtype=np.int16).reshape(-1, CHANNELS)


def produce(device: SyncDevice) -> set[tuple[bytes, int, int]]:
    """Replay a recording; the identities of the records that it made."""
    device.replay(1, SAMPLES)
    results = device.results(0, 100)
    assert results.lost == 0 and results.next == WINDOWS
    records = [decode_record(record) for record in results.records]
    assert [record.seq for record in records] == list(range(WINDOWS))
    assert [record.sample_index for record in records] == [HOP_SAMPLES * n for n in range(WINDOWS)]
    assert {record.boot_id for record in records} == {results.boot_id}
    return {(results.device_id, record.boot_id, record.seq) for record in records}


def use(board: EmulatedBoard) -> set[tuple[bytes, int, int]]:
    with connect(board.url) as device:
        return produce(device)


def test_restarts_and_a_second_board_of_one_image_repeat_no_identity(start_board: StartBoard) -> None:
    seen: list[set[tuple[bytes, int, int]]] = []
    for launch in range(3):
        board = start_board(nvm="one.nvm")
        seen.append(use(board))
        # The last time as a power cut: what was promised durable must be.
        board.kill() if launch == 1 else board.stop()
        assert read_boot_id(board.nvm.read_bytes()) == launch + 1
    first, second = start_board(nvm="one.nvm"), start_board(nvm="two.nvm")
    seen += [use(first), use(second)]
    assert first.device_id != second.device_id
    assert len(set.union(*seen)) == WINDOWS * len(seen) == 25
    assert {identity[0] for identities in seen for identity in identities} == {first.device_id, second.device_id}


def test_reset_begins_a_new_boot_at_seq_0(start_board: StartBoard) -> None:
    board = start_board()
    with connect(board.url) as device:
        before = produce(device)
        device.reset()
        hello = device.hello()
        assert hello.boot_id == 2 and hello.device_id == board.device_id
        assert not before & produce(device)


def test_given_identity_is_kept(start_board: StartBoard) -> None:
    board = start_board(device_id=bytes(range(16)))
    with connect(board.url) as device:
        assert device.hello().device_id == bytes(range(16)) == board.device_id


def test_power_cut_right_after_start_costs_at_most_a_number(start_board: StartBoard) -> None:
    numbers = []
    for _ in range(5):
        board = start_board()
        os.kill(board.pid, signal.SIGKILL)
        board.wait(30.0)
        numbers.append(read_boot_id(board.nvm.read_bytes()))
    assert numbers == sorted(numbers)
    with connect(start_board().url) as device:
        assert device.hello().boot_id == numbers[-1] + 1
