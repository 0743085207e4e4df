"""A record and the window that it was made from: the reference gives the same bytes again, on every kind of board."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil_tests.conftest import CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, StartBoard, small_package
from hil_tests.test_memory_link import url as memory_url
from tinyfleet.device import SyncDevice, connect
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.errors import DeviceError
from tinyfleet_codegen.reference import run_layers
from tinyfleet_codegen.wire.record import decode_record
from tinyfleet_codegen.wire.seeded import seeded_bytes

WINDOWS = 12
SAMPLES = np.random.default_rng(23).integers(-9000, 9000, (WINDOW_SAMPLES + (WINDOWS - 1) * HOP_SAMPLES, CHANNELS)).astype(np.int16)


def run_again(window: npt.NDArray[np.int16] | npt.NDArray[np.int8]) -> bytes:
    """What the NumPy reference answers to a window as it came from a device."""
    package = small_package()
    graph = compile_graph(package, None).graph
    tensor = graph.tensors[graph.inputs[0]]
    assert package.frontend is not None and tensor.quant is not None
    x = window
    if window.dtype == np.int16:
        x = package.frontend.apply(window.astype(np.int16), tensor.scale, tensor.quant.zero_points[0])
    return run_layers(graph, x.reshape(tensor.shape))[-1].tobytes()


def check_windows(device: SyncDevice) -> None:
    """Of a recording, and of the board's own sensor."""
    boot = device.hello().boot_id
    device.replay(1, SAMPLES)
    records = [decode_record(data) for data in device.results(0, 100).records]
    assert len(records) == WINDOWS
    for record in records:
        window = device.window(boot, record.seq)
        assert (window.dtype, window.shape) == (np.int16, (WINDOW_SAMPLES, CHANNELS))
        assert np.array_equal(window, SAMPLES[record.sample_index :][:WINDOW_SAMPLES])
        assert run_again(window) == record.output
    with pytest.raises(DeviceError, match=f"no window of record {boot}/{WINDOWS}: TYF_ERR_ARG"):
        device.window(boot, WINDOWS)
    with pytest.raises(DeviceError, match="TYF_ERR_GONE"):
        device.window(boot - 1, 0)


def test_an_emulated_boards_windows_give_its_records_again(start_board: StartBoard) -> None:
    with start_board() as board, connect(board.url) as device:
        check_windows(device)
        first = WINDOWS
        device.sample(5, seed=3, count=4)
        while device.sampling().running:
            pass
        boot = device.hello().boot_id
        for case, data in enumerate(device.results(first, 100).records):
            window = device.window(boot, first + case)
            assert window.dtype == np.int8 and window.tobytes() == seeded_bytes(3, case, WINDOW_SAMPLES * CHANNELS).tobytes()
            assert run_again(window) == decode_record(data).output
        # Another layout has taken their places.
        with pytest.raises(DeviceError, match="TYF_ERR_GONE"):
            device.window(boot, 0)


def test_so_do_those_of_a_board_in_memory(model_dir: Path) -> None:
    with connect(memory_url(model_dir)) as device:
        check_windows(device)


def test_the_command_writes_a_window(start_board: StartBoard, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        command = [sys.executable, "-m", "tinyfleet", "device", "window", *words, "--timeout", "60"]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout

    with start_board() as board:
        with connect(board.url) as device:
            device.replay(1, SAMPLES)
        out = tmp_path / "window.npy"
        facts = json.loads(run(board.url, "--seq", "2", "-o", str(out), "--json"))
        expected = SAMPLES[2 * HOP_SAMPLES :][:WINDOW_SAMPLES]
        assert (facts["dtype"], facts["shape"], facts["seq"]) == ("int16", [WINDOW_SAMPLES, CHANNELS], 2)
        assert bytes.fromhex(facts["data"]) == expected.tobytes() and np.array_equal(np.load(out), expected)
        assert f"int16 [{WINDOW_SAMPLES}, {CHANNELS}], {expected.nbytes} bytes" in run(board.url, "--seq", "2")
