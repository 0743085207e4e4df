"""Group 64 on a model made by hand (``program/model.c``): each element plus one, the first five kept."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Sequence

import pytest

from tests.firmware.program_process import DEVICE_ID, GROUP_TINYFLEET, READ, WRITE, FirmwareProgram
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.record import decode_record, split_records
from tinyfleet_codegen.wire.seeded import seeded_bytes

HELLO, MODEL_INFO, INFER, SELF_INFER, RESULTS, REPLAY, STATS = range(7)
INPUT, OUTPUT, CHANNELS, WINDOW, HOP = 24, 5, 3, 8, 4
EINVAL = 3


def error(status: Status) -> dict[str, object]:
    """The reply that carries a status of group 64."""
    return {"err": {"group": GROUP_TINYFLEET, "rc": -status}}


def run_model(data: bytes) -> tuple[bytes, bytes]:
    """Outputs of the two layers."""
    first = bytes((value + 1) % 256 for value in data)
    return first, first[:OUTPUT]


def write(board: FirmwareProgram, command: int, **body: object) -> dict[str, object]:
    """A write request of group 64."""
    return board.command(WRITE, GROUP_TINYFLEET, command, body)


def read(board: FirmwareProgram, command: int, **body: object) -> dict[str, object]:
    """A read request of group 64."""
    return board.command(READ, GROUP_TINYFLEET, command, body)


def test_hello_says_who_and_what(board: FirmwareProgram) -> None:
    board.ask("A", struct.pack("<Q", 2**40))
    assert read(board, HELLO) == {
        "proto_min": 1,
        "proto_max": 1,
        "device_id": DEVICE_ID,
        "boot_id": 1,
        "board": "host",
        "app": "sensor host",
        "uptime_us": 2**40,
    }


def test_model_info_describes_the_model(board: FirmwareProgram) -> None:
    assert read(board, MODEL_INFO) == {
        "model_id": b"\xab" + bytes(31),
        "generation": 1,
        "name": "test",
        "arena_bytes": 64,
        "input_bytes": INPUT,
        "output_bytes": OUTPUT,
        "input_dtype": 9,
        "output_dtype": 9,
        "layers": 2,
        "channels": CHANNELS,
        "window_samples": WINDOW,
        "hop_samples": HOP,
    }


def test_inference_in_chunks_of_any_size(board: FirmwareProgram) -> None:
    data = bytes(range(INPUT))
    for step in range(1, INPUT + 1):
        for start in range(0, INPUT, step):
            reply = write(board, INFER, off=start, data=data[start : start + step])
            done = min(start + step, INPUT)
            assert reply == ({"off": done, "out_bytes": OUTPUT} if done == INPUT else {"off": done})
        assert read(board, INFER, off=0) == {"off": 0, "len": OUTPUT, "data": run_model(data)[1]}
        assert read(board, INFER, off=3) == {"off": 3, "len": OUTPUT, "data": run_model(data)[1][3:]}


def test_chunk_at_another_place_changes_nothing(board: FirmwareProgram) -> None:
    data = random.Random(7).randbytes(INPUT)
    assert write(board, INFER, off=0, data=data[:10]) == {"off": 10}
    for off in (5, 9, 11, 23, 24, 1000, 2**32 - 1):
        assert write(board, INFER, off=off, data=b"zz") == {"off": 10}
    assert write(board, INFER, off=10, data=data[10:]) == {"off": INPUT, "out_bytes": OUTPUT}
    assert read(board, INFER, off=0)["data"] == run_model(data)[1]


def test_repeated_last_chunk_finds_the_answer(board: FirmwareProgram) -> None:
    data = random.Random(8).randbytes(INPUT)
    write(board, INFER, off=0, data=data[:20])
    for _ in range(3):
        assert write(board, INFER, off=20, data=data[20:]) == {"off": INPUT, "out_bytes": OUTPUT}
    assert read(board, STATS)["inferences"] == 1
    assert read(board, INFER, off=0)["data"] == run_model(data)[1]


def test_input_that_is_too_long_is_refused(board: FirmwareProgram) -> None:
    assert write(board, INFER, off=0, data=bytes(INPUT + 1)) == error(Status.ERR_ARG)
    assert write(board, INFER, off=0, data=bytes(20)) == {"off": 20}
    assert write(board, INFER, off=20, data=bytes(5)) == error(Status.ERR_ARG)
    assert write(board, INFER, off=20, data=bytes(4)) == {"off": INPUT, "out_bytes": OUTPUT}


def test_output_is_not_read_before_there_is_one_nor_while_it_is_overwritten(board: FirmwareProgram) -> None:
    assert read(board, INFER, off=0) == error(Status.ERR_STATE)
    write(board, INFER, off=0, data=bytes(INPUT))
    assert read(board, INFER, off=OUTPUT) == {"off": OUTPUT, "len": OUTPUT, "data": b""}
    assert read(board, INFER, off=OUTPUT + 1) == error(Status.ERR_ARG)
    write(board, INFER, off=0, data=bytes(3))
    assert read(board, INFER, off=0) == error(Status.ERR_STATE)


def test_replay_between_chunks_makes_the_host_start_over(board: FirmwareProgram) -> None:
    write(board, INFER, off=0, data=bytes(10))
    write(board, REPLAY, stream=1, off=0, data=bytes(2 * CHANNELS * WINDOW))
    assert write(board, INFER, off=10, data=bytes(14)) == {"off": 0}


def test_self_infer_hashes_the_outputs_of_seeded_inputs(board: FirmwareProgram) -> None:
    reply = write(board, SELF_INFER, seed=77, first=0, count=20)
    outputs = [run_model(seeded_bytes(77, case, INPUT).tobytes())[1] for case in range(20)]
    assert reply == {"hashes": b"".join(hashlib.sha256(output).digest()[:8] for output in outputs)}
    assert read(board, INFER, off=0)["data"] == outputs[-1]
    assert read(board, STATS)["records"] == 0


def test_self_infer_gives_as_many_as_fit_and_at_least_one(board: FirmwareProgram) -> None:
    hashes = write(board, SELF_INFER, seed=1, first=0, count=2**32 - 1)["hashes"]
    assert isinstance(hashes, bytes)
    assert 100 < len(hashes) // 8 < 128
    assert read(board, STATS)["inferences"] == len(hashes) // 8


def test_self_infer_of_layers(board: FirmwareProgram) -> None:
    layers = [hashlib.sha256(layer).digest()[:8] for layer in run_model(seeded_bytes(5, 3, INPUT).tobytes())]
    for start, expected in ((None, layers), (0, layers), (1, layers[1:]), (2, []), (99, [])):
        more = {} if start is None else {"from": start}
        reply = board.command(WRITE, GROUP_TINYFLEET, SELF_INFER, {"seed": 5, "first": 3, "layers": True, **more})
        # A host does not count instructions.
        assert reply == {"from": start or 0, "hashes": b"".join(expected), "instructions": bytes(4 * len(expected))}


def feed(board: FirmwareProgram, stream: int, off: int, samples: Sequence[int]) -> dict[str, object]:
    """Replay some values (channels interleaved)."""
    return write(board, REPLAY, stream=stream, off=off, data=struct.pack(f"<{len(samples)}h", *samples))


def results(board: FirmwareProgram, since: int = 0, most: int = 100) -> dict[str, object]:
    """Pull records."""
    return read(board, RESULTS, since=since, max=most)


def test_replay_makes_one_record_per_window(board: FirmwareProgram) -> None:
    source = random.Random(9)
    samples = [source.randrange(-128, 127) for _ in range(CHANNELS * 50)]
    position = 0
    while position < 50:
        count = min(source.randrange(1, 9), 50 - position)
        board.ask("A", struct.pack("<Q", 1000))
        reply = feed(board, 4, position, samples[CHANNELS * position : CHANNELS * (position + count)])
        position += count
        assert reply == {"stream": 4, "off": position, "seq": max(0, (position - WINDOW) // HOP + 1)}
    reply = results(board)
    assert (reply["boot_id"], reply["device_id"], reply["next"], reply["lost"]) == (1, DEVICE_ID, 11, 0)
    assert isinstance(reply["records"], bytes)
    for seq, data in enumerate(split_records(reply["records"])):
        record = decode_record(data)
        start = seq * HOP
        window = bytes(value % 256 for value in samples[CHANNELS * start : CHANNELS * (start + WINDOW)])
        output = run_model(window)[1]
        signed = struct.unpack(f"{OUTPUT}b", output)
        assert (record.boot_id, record.seq, record.stream, record.sample_index) == (1, seq, 4, start)
        assert record.output == output and record.top == signed.index(max(signed)) and record.model_generation == 1
        assert record.uptime_us > 0


def test_replayed_chunk_counts_once(board: FirmwareProgram) -> None:
    samples = list(range(CHANNELS * 20))
    for off in range(0, 20, 5):
        for _ in range(3):
            assert feed(board, 1, off, samples[CHANNELS * off : CHANNELS * (off + 5)])["off"] == off + 5
    assert read(board, STATS)["records"] == (20 - WINDOW) // HOP + 1


def test_chunk_beyond_or_across_what_was_taken_changes_nothing(board: FirmwareProgram) -> None:
    feed(board, 1, 0, [0] * (CHANNELS * 6))
    for off in (3, 5, 7, 100):
        assert feed(board, 1, off, [1] * (CHANNELS * 4)) == {"stream": 1, "off": 6, "seq": 0}
    assert feed(board, 2, 6, [1] * CHANNELS) == {"stream": 1, "off": 6, "seq": 0}


def test_new_stream_starts_a_new_window_and_seq_goes_on(board: FirmwareProgram) -> None:
    feed(board, 1, 0, [1] * (CHANNELS * (WINDOW + 3)))
    feed(board, 2, 0, [2] * (CHANNELS * (WINDOW - 1)))
    assert feed(board, 2, WINDOW - 1, [2] * CHANNELS) == {"stream": 2, "off": WINDOW, "seq": 2}
    data = results(board)["records"]
    assert isinstance(data, bytes)
    records = [decode_record(record) for record in split_records(data)]
    assert [(r.seq, r.stream, r.sample_index, r.output) for r in records] == [(0, 1, 0, b"\x02" * OUTPUT), (1, 2, 0, b"\x03" * OUTPUT)]


def test_replay_refuses_what_is_not_whole_samples_or_the_boards_own_stream(board: FirmwareProgram) -> None:
    assert write(board, REPLAY, stream=1, off=0, data=bytes(2 * CHANNELS - 1)) == error(Status.ERR_ARG)
    assert write(board, REPLAY, stream=0, off=0, data=bytes(2 * CHANNELS)) == error(Status.ERR_ARG)
    assert write(board, REPLAY, stream=1, off=0) == {"rc": EINVAL}


def test_results_are_limited_by_count_and_by_the_frame(board: FirmwareProgram) -> None:
    for part in range(20):
        feed(board, 1, part * 100, [0] * (CHANNELS * 100))
    produced = read(board, STATS)["records"]
    assert isinstance(produced, int)
    assert produced == (2000 - WINDOW) // HOP + 1
    seen: list[int] = []
    while len(seen) < produced:
        reply = results(board, since=len(seen), most=1000)
        assert isinstance(reply["records"], bytes)
        seen += [decode_record(record).seq for record in split_records(reply["records"])]
        assert reply["next"] == len(seen)
    assert seen == list(range(produced))
    assert results(board, since=3, most=2)["next"] == 5
    assert results(board, since=3, most=0)["next"] == 3
    assert results(board, since=produced + 5) == {"boot_id": 1, "device_id": DEVICE_ID, "next": produced, "lost": 0, "records": b""}


def test_ring_overwrites_its_oldest_and_says_so(board: FirmwareProgram) -> None:
    for part in range(80):
        feed(board, 1, part * 150, [0] * (CHANNELS * 150))
    stats = read(board, STATS)
    reply = results(board)
    assert isinstance(stats["ring_overwrites"], int) and stats["ring_overwrites"] > 1000
    assert reply["lost"] == stats["ring_overwrites"]
    assert stats["records"] == (80 * 150 - WINDOW) // HOP + 1


def test_a_board_whose_sequence_numbers_are_used_up_restarts(board: FirmwareProgram) -> None:
    board.ask("q", struct.pack("<I", 2**32 - 3))
    windows = [0] * CHANNELS * (WINDOW + 4 * HOP)
    assert feed(board, 1, 0, windows)["seq"] == 2**32 - 1, "five windows, two of them with a number"
    assert read(board, HELLO)["boot_id"] == 2
    assert feed(board, 1, 0, windows)["seq"] == 5
    records = read(board, RESULTS, since=0, max=100)["records"]
    assert isinstance(records, bytes)
    assert [decode_record(record).seq for record in split_records(records)] == list(range(5))


@pytest.mark.parametrize("command", [INFER, RESULTS, SELF_INFER, REPLAY])
def test_missing_or_wrong_parameters_are_refused(board: FirmwareProgram, command: int) -> None:
    op = READ if command == RESULTS else WRITE
    for body in ({}, {"off": "x", "since": "x", "seed": "x", "stream": "x"}, {"off": -1, "since": -1, "seed": -1, "stream": -1}):
        assert board.command(op, GROUP_TINYFLEET, command, body) == {"rc": EINVAL}
