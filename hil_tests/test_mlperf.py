"""An MLPerf Tiny runner drives an emulated board over its serial port, and gets the oracle's answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hil_tests.conftest import BOARD, StartBoard
from tests.support import mlperf, standins
from tinyfleet.bench import mlperf as runner
from tinyfleet.bench.mlperf import drive_emulated, open_mlperf_device
from tinyfleet_codegen.errors import DeviceError, LinkTimeout
from tinyfleet_codegen.package import ModelPackage, load_package

IDS = {"kws": "kws01", "vww": "vww01", "ic": "ic01", "ad": "ad01", "sww": "strww01"}


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that what does not depend on the model is compiled once."""
    return tmp_path_factory.mktemp("mlperf")


def package_of(name: str) -> ModelPackage:
    """The benchmark's model, or the stand-in where it is absent."""
    found = {model.name: model for model in mlperf.found_models()}
    return load_package(mlperf.path_of(found[name])) if name in found else ModelPackage(name, standins.STANDINS[name]())


@pytest.mark.parametrize("name", ["kws", "ic", "ad"])
def test_runner_gets_the_oracles_answers_over_the_serial_port(name: str, work_dir: Path) -> None:
    # One of each encoding of inputs: int8, pixels, float32. Models of one encoding differ in nothing that this test sees.
    report = drive_emulated(BOARD, package_of(name), work_dir, count=4, inferences=3)
    assert (report.device, report.model) == ("tinyfleet", IDS[name])
    assert (report.checked, report.equal) == (4, 4)
    # 25 MHz and at least half an instruction a MAC, at most four.
    assert 1 < report.per_second < 1000


def test_a_wrong_answer_is_not_equal(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = runner.wire_input
    monkeypatch.setattr(runner, "wire_input", lambda model, info, x: right(model, info, x[:, ::-1]))
    report = drive_emulated(BOARD, package_of("kws"), work_dir, count=3, inferences=1)
    assert (report.checked, report.equal) == (3, 2), "the two constant inputs are their own reverse, the third is not"


def test_a_board_with_another_app_is_named(start_board: StartBoard) -> None:
    async def hello() -> None:
        async with open_mlperf_device(start_board().url, timeout_s=2.0):
            raise AssertionError("it answered")

    with pytest.raises(LinkTimeout, match="does not speak the MLPerf Tiny protocol"):
        asyncio.run(hello())


def test_a_refusal_names_the_command(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "wire_input", lambda model, info, x: b"\0")
    with pytest.raises(DeviceError, match="refused 'db load 1': Command 'db load' must be for 490 bytes"):
        drive_emulated(BOARD, package_of("kws"), work_dir, count=1, inferences=1)
