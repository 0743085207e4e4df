"""Windows that records were made from: kept beside the ring of records, read back in pieces, refused when they are gone."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.firmware.program_process import GROUP_TINYFLEET, READ, WRITE, FirmwareProgram
from tests.firmware.test_sensor import CHANNELS, HOP, WINDOW, error, feed, read, results
from tests.support.host_board import HostBoard, Mutant, build_host_board
from tests.support.model_swap import BUILT_IN
from tests.support.small_models import CHANNELS as MODEL_CHANNELS
from tests.support.small_models import HOP_SAMPLES, WINDOW_SAMPLES
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.reference import run_layers
from tinyfleet_codegen.wire.ids import Command, DType, Status
from tinyfleet_codegen.wire.record import Record, decode_record, split_records
from tinyfleet_codegen.wire.seeded import seeded_bytes

WINDOW_BYTES = 2 * CHANNELS * WINDOW
CAPTURE_BYTES = 16384
EINVAL = 3


def window(board: FirmwareProgram, seq: int, off: int = 0, boot_id: int = 1) -> dict[str, Any]:
    """A piece of what record ``seq`` was made from."""
    return read(board, Command.WINDOW, boot_id=boot_id, seq=seq, off=off)


def expected(data: bytes, off: int = 0) -> dict[str, Any]:
    return {"off": off, "data": data[off:], "len": len(data), "dtype": DType.INT16, "channels": CHANNELS}


def replayed(board: FirmwareProgram, windows: int, seed: int = 3) -> list[bytes]:
    """Feed so many windows; the samples of each."""
    samples = [random.Random(seed).randrange(-(2**15), 2**15) for _ in range(CHANNELS * (WINDOW + (windows - 1) * HOP))]
    step = CHANNELS * 40
    for at in range(0, len(samples), step):
        feed(board, seed, at // CHANNELS, samples[at : at + step])
    return [struct.pack(f"<{CHANNELS * WINDOW}h", *samples[CHANNELS * HOP * n :][: CHANNELS * WINDOW]) for n in range(windows)]


def test_every_window_comes_back_as_the_samples_were_fed_from_any_byte_on(board: FirmwareProgram) -> None:
    for seq, samples in enumerate(replayed(board, 30)):
        for off in (0, 1, WINDOW_BYTES // 2, WINDOW_BYTES - 1, WINDOW_BYTES):
            assert window(board, seq, off) == expected(samples, off)
        assert window(board, seq, WINDOW_BYTES + 1) == error(Status.ERR_ARG)


def test_what_is_overwritten_is_gone_and_what_was_not_yet_never_existed(board: FirmwareProgram) -> None:
    assert window(board, 0) == error(Status.ERR_ARG)
    kept = CAPTURE_BYTES // WINDOW_BYTES
    windows = replayed(board, kept + 7)
    assert window(board, 6) == error(Status.ERR_GONE)
    assert window(board, 7) == expected(windows[7])
    assert window(board, kept + 6) == expected(windows[-1])
    assert window(board, kept + 7) == error(Status.ERR_ARG)
    assert window(board, 2**32 - 1) == error(Status.ERR_ARG)
    pools = board.command(READ, 0, 3, {})
    assert pools["windows"] == {"blksiz": WINDOW_BYTES, "nblks": kept, "nfree": 0, "min": 0}


def test_windows_of_another_boot_are_gone_or_never_existed(board: FirmwareProgram) -> None:
    (samples,) = replayed(board, 1)
    assert window(board, 0, boot_id=0) == error(Status.ERR_GONE)
    assert window(board, 0, boot_id=2) == error(Status.ERR_ARG)
    board.command(WRITE, 0, 5, {})
    assert window(board, 0, boot_id=1) == error(Status.ERR_GONE)
    assert window(board, 0, boot_id=2) == error(Status.ERR_ARG)
    assert window(board, 0, boot_id=2) != expected(samples)


def test_the_boards_own_sensor_keeps_its_tensors_and_another_layout_lets_go_of_them(board: FirmwareProgram) -> None:
    board.command(WRITE, GROUP_TINYFLEET, Command.SAMPLING, {"period_ms": 1, "seed": 5, "count": 3})
    board.ask("A", struct.pack("<Q", 10_000))
    assert results(board)["next"] == 3
    for case in range(3):
        data = seeded_bytes(5, case, CHANNELS * WINDOW).tobytes()
        assert window(board, case) == {"off": 0, "data": data, "len": len(data), "dtype": DType.INT8, "channels": CHANNELS}
    (samples,) = replayed(board, 1)
    assert [window(board, seq) for seq in range(3)] == 3 * [error(Status.ERR_GONE)]
    assert window(board, 3) == expected(samples)


def test_a_request_lacks_nothing(board: FirmwareProgram) -> None:
    for left_out in ("boot_id", "seq", "off"):
        body = {"boot_id": 1, "seq": 0, "off": 0}
        del body[left_out]
        assert read(board, Command.WINDOW, **body) == {"rc": EINVAL}


# The same bits: what a record says is what the reference makes of its window.


def pulled(board: HostBoard) -> list[Record]:
    """All its records."""
    records: list[Record] = []
    while True:
        reply = board.command(READ, GROUP_TINYFLEET, Command.RESULTS, {"since": len(records), "max": 100})
        assert reply is not None
        if not reply["records"]:
            return records
        records += map(decode_record, split_records(reply["records"]))


def run_again(graph: Graph, reply: dict[str, Any]) -> bytes:
    """What the NumPy reference answers to a window."""
    tensor = graph.tensors[graph.inputs[0]]
    assert BUILT_IN.frontend is not None and tensor.quant is not None
    if reply["dtype"] == DType.INT16:
        samples = np.frombuffer(reply["data"], "<i2").reshape(-1, reply["channels"])
        x = BUILT_IN.frontend.apply(samples, float(tensor.quant.scales[0]), tensor.quant.zero_points[0])
    else:
        x = np.frombuffer(reply["data"], np.int8)
    return run_layers(graph, x.reshape(tensor.shape))[-1].tobytes()


def windows_that_do_not_give_their_record(library: Path) -> int:
    """Of 20 windows of a recording and 20 of the board's own sensor; what is refused counts too."""
    board = HostBoard(library)
    board.power_on()
    graph = compile_graph(BUILT_IN, None).graph
    samples = np.random.default_rng(11).integers(-4000, 4000, (WINDOW_SAMPLES + 19 * HOP_SAMPLES, MODEL_CHANNELS)).astype("<i2")
    wrong = 0

    def check(first: int) -> int:
        records = pulled(board)[first:]
        assert len(records) == 20 and len({record.output for record in records}) > 10
        count = 0
        for record in records:
            body = {"boot_id": record.boot_id, "seq": record.seq, "off": 0}
            reply = board.command(READ, GROUP_TINYFLEET, Command.WINDOW, body)
            assert reply is not None
            count += "data" not in reply or run_again(graph, reply) != record.output
        return count

    for at in range(0, len(samples), 40):
        board.command(WRITE, GROUP_TINYFLEET, Command.REPLAY, {"stream": 1, "off": at, "data": samples[at : at + 40].tobytes()})
    wrong += check(0)
    board.command(WRITE, GROUP_TINYFLEET, Command.SAMPLING, {"period_ms": 1, "seed": 5, "count": 20})
    board.advance_us(40_000)
    return wrong + check(20)


MUTANTS: dict[str, Mutant] = {
    "the window of the record before": (
        "lib/telemetry/src/windows.c",
        "    memcpy(data, place_of(&seen, seq) + off, piece->bytes);",
        "    memcpy(data, place_of(&seen, seq - (seq != seen.first_seq)) + off, piece->bytes);",
    ),
    "kept under the number of the record before": (
        "lib/sensor/src/window_command.c",
        "tyf_telemetry_ring_produced(&s->ring), &layout",
        "tyf_telemetry_ring_produced(&s->ring) - 1u, &layout",
    ),
    "kept after the model has overwritten its input": (
        "lib/sensor/src/sampling_command.c",
        "    tyf_sensor_keep_window(live, model->input_dtype, live->arena + model->input_offset, model->input_bytes);\n"
        "    const uint32_t latency_us = tyf_sensor_infer(live, NULL, NULL);\n",
        "    const uint32_t latency_us = tyf_sensor_infer(live, NULL, NULL);\n"
        "    tyf_sensor_keep_window(live, model->input_dtype, live->arena + model->input_offset, model->input_bytes);\n",
    ),
    "a hop too far": ("lib/sensor/src/replay_command.c", "TYF_DTYPE_INT16, window,", "TYF_DTYPE_INT16, window + frontend->hop_samples,"),
    "the oldest one is never there": (
        "lib/telemetry/src/windows.c",
        "seq <= tyf_telemetry_windows_held",
        "seq < tyf_telemetry_windows_held",
    ),
}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    return lambda *mutants: build_host_board(tmp_path_factory.mktemp("board"), mutants)


def test_the_reference_gives_the_bytes_of_every_record_from_its_window(build: Callable[..., Path]) -> None:
    assert windows_that_do_not_give_their_record(build()) == 0


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_window_is_seen(build: Callable[..., Path], name: str) -> None:
    assert windows_that_do_not_give_their_record(build(MUTANTS[name])) > 0
