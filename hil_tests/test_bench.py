"""The bench app: the smallest program around a model, measured the same twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support import standins
from tinyfleet.bench import measure as measuring
from tinyfleet.bench.engine import load_baseline
from tinyfleet.bench.link import bench_link
from tinyfleet.bench.measure import measure
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.oracle import NumpyOracle
from tinyfleet.profile import profile_model
from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.tflite.reader import read_tflite

BOARD = "mps2_an386"
STARTUP_INSTRUCTIONS = 2000
CODE_BYTES = 12 * 1024


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that each board's program is compiled once."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def package() -> ModelPackage:
    return ModelPackage("ad", standins.ad())


@pytest.mark.parametrize("board", [BOARD, "mps2_an385_v6m"])
def test_measurement_repeats_and_is_small(board: str, package: ModelPackage, work_dir: Path) -> None:
    first, second = (measure(package, board, work_dir) for _ in range(2))
    # The counter ticks 1.6 times an instruction, so a count may be one off; nothing else may differ.
    assert abs(first.instructions - second.instructions) <= 1
    assert replace(first, instructions=0) == replace(second, instructions=0)
    assert first.instructions > first.macs / 2
    assert 0 < first.startup_instructions < STARTUP_INSTRUCTIONS
    assert 1024 < first.flash.code_bytes < CODE_BYTES
    assert first.flash.weights_bytes >= 264_192 and first.flash.tables_bytes >= 13 * 128
    assert first.arena_bytes >= 640 and 0 < first.static_bytes < 256 and 64 < first.stack_bytes < 1024


def test_bench_and_profile_count_alike(package: ModelPackage, work_dir: Path, tmp_path: Path) -> None:
    bench = measure(package, BOARD, work_dir)
    profile = profile_model(package, BOARD, tmp_path)
    # profile reads its counter around each layer, with interrupts on.
    assert profile.instructions == pytest.approx(bench.instructions, rel=0.01)


def test_wrong_bytes_are_no_measurement(package: ModelPackage, work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(NumpyOracle):
        def run(self, x: np.ndarray) -> np.ndarray:
            output = super().run(x)
            output.flat[0] ^= 1
            return output

    monkeypatch.setattr(measuring, "open_oracle", lambda tflite, name: Wrong(read_tflite(tflite, name)))
    with pytest.raises(ProtocolError, match="ad on mps2_an386 computed other bytes"):
        measure(package, BOARD, work_dir)


def test_debugger_says_where_it_stands(package: ModelPackage, work_dir: Path, tmp_path: Path) -> None:
    measure(package, BOARD, work_dir)
    elf = work_dir / BOARD / "firmware" / "firmware.elf"
    with EmulatedBoard.start(BOARD, elf, tmp_path / "nvm.bin", halted=True) as board:
        assert board.debugger is not None
        with pytest.raises(ProtocolError, match="did not reach 0x2 within 10 instructions"):
            board.debugger.instructions_until(2, limit=10)


def test_baseline_names_the_models_also_for_a_core_without_figures() -> None:
    path = Path(__file__).parent / "baseline.toml"
    known, unknown = load_baseline(path, "cortex-m4"), load_baseline(path, "cortex-m33")
    assert [entry.file for entry in known] == [entry.file for entry in unknown]
    assert all(entry.instructions for entry in known) and not any(entry.instructions for entry in unknown)


@pytest.mark.full
def test_links_are_measured_on_every_path(package: ModelPackage) -> None:
    rates = bench_link(package, BOARD, rounds=1)
    assert [rate.path.partition(",")[0] for rate in rates] == ["firmware", "model", "telemetry", "model", "model"]
    assert all(rate.least == rate.kib_per_s == rate.most > 0 and rate.payload_bytes > 10_000 and rate.why for rate in rates)
