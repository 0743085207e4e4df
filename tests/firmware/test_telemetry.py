"""The telemetry ring against a model of it in Python."""

from __future__ import annotations

import random
import struct
from collections import deque

import pytest

from tests.firmware.program_process import FirmwareProgram
from tinyfleet_codegen.wire.record import HEADER_BYTES, MAX_OUTPUT_BYTES, TOP_NONE, Record, decode_record, split_records

PREEMPTED = 3000
assert TOP_NONE == 255


class RingModel:
    """What the ring should do."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held: deque[bytes] = deque()
        self.next_seq = 0
        self.overwrites = 0

    def append(self, output: bytes) -> None:
        """One more record; the oldest go when there is no room."""
        seq = self.next_seq
        record = Record(7, seq, seq ^ 1, (seq * 3) % 2**32, 0, seq, 0, 0, output).encode()
        while sum(map(len, self.held)) + len(record) > self.capacity:
            self.held.popleft()
            self.overwrites += 1
        self.held.append(record)
        self.next_seq += 1

    def read(self, since: int, most: int, capacity: int) -> tuple[int, int, bytes]:
        """(next, lost, records)"""
        oldest = self.next_seq - len(self.held)
        start = min(max(since, oldest), self.next_seq)
        taken = b""
        for record in list(self.held)[start - oldest :][:most]:
            if len(taken) + len(record) > capacity:
                break
            taken += record
            start += 1
        return start, max(0, oldest - since), taken


def read(program: FirmwareProgram, since: int, most: int, capacity: int) -> tuple[int, int, int, bytes]:
    """(next, lost, overwrites, records) of the ring."""
    reply = program.ask("r", struct.pack("<III", since, most, capacity))
    following, lost, overwrites = struct.unpack_from("<III", reply)
    return following, lost, overwrites, reply[12:]


@pytest.mark.parametrize("seed", range(6))
def test_ring_does_what_its_model_does(program: FirmwareProgram, seed: int) -> None:
    source = random.Random(seed)
    capacity = source.choice([1060, 1061, 2048, 3001])
    program.ask("i", struct.pack("<II", capacity, 0))
    model = RingModel(capacity)
    for _ in range(800):
        if source.random() < 0.6:
            output = source.randbytes(source.choice([0, 1, 6, 12, 12, 12, source.randrange(MAX_OUTPUT_BYTES + 1)]))
            program.ask("a", output)
            model.append(output)
        else:
            since = source.choice([0, model.next_seq, model.next_seq + 1, 2**32 - 1, source.randrange(model.next_seq + 1)])
            most = source.choice([0, 1, 3, 100, 2**32 - 1])
            room = source.choice([0, HEADER_BYTES - 1, HEADER_BYTES + 12, 500, 4000])
            following, lost, overwrites, records = read(program, since, most, room)
            assert (following, lost, records) == model.read(since, most, room)
            assert overwrites == model.overwrites
    assert model.overwrites > 100


def test_reading_from_the_first_record_on_sees_each_once_and_can_be_repeated(program: FirmwareProgram) -> None:
    program.ask("i", struct.pack("<II", 65536, 0))
    for seq in range(500):
        program.ask("a", seq.to_bytes(2, "little"))
    for _ in range(2):
        seen: list[int] = []
        since = 0
        while since < 500:
            since, lost, _, records = read(program, since, 50, 900)
            assert lost == 0
            seen += [decode_record(record).seq for record in split_records(records)]
        assert seen == list(range(500))


def test_reader_that_is_late_learns_how_many_it_lost(program: FirmwareProgram) -> None:
    program.ask("i", struct.pack("<II", 1100, 0))
    for _ in range(100):
        program.ask("a", bytes(14))
    following, lost, overwrites, records = read(program, 10, 1, 2000)
    held = 1100 // (HEADER_BYTES + 14)
    assert (overwrites, lost, following) == (100 - held, 100 - held - 10, 100 - held + 1)
    assert [decode_record(record).seq for record in split_records(records)] == [100 - held]


def test_no_sequence_number_comes_again(program: FirmwareProgram) -> None:
    """At 1,000 records a second they last for 49 days; the same identity twice would be an alarm in the cloud."""
    program.ask("i", struct.pack("<II", 2048, 2**32 - 4))
    for _ in range(5):
        program.ask("a", b"x")
    following, lost, overwrites, records = read(program, 2**32 - 4, 100, 4000)
    assert [decode_record(record).seq for record in split_records(records)] == [2**32 - 4, 2**32 - 3, 2**32 - 2]
    assert (following, lost, overwrites) == (2**32 - 1, 0, 0)
    assert read(program, following, 100, 4000) == (2**32 - 1, 0, 0, b"")


def test_a_reader_that_the_writer_preempts_sees_whole_records_in_order_and_whole_windows(program: FirmwareProgram) -> None:
    reads, records, appended, bad, windows = struct.unpack("<5I", program.ask("p", struct.pack("<I", PREEMPTED)))
    print(f"{reads} reads of {records} records, {appended} appended, {windows} windows read")
    assert bad == 0
    assert min(reads, records, appended, windows) >= PREEMPTED, "a writer or a reader that stands still"
