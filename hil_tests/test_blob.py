"""A board runs a model from a blob: the oracle's bits in every layer, at hardly any cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import standins
from tests.support.stream_case import keyword_case
from tinyfleet.bench.blob import measure_blob
from tinyfleet.cases import Cases
from tinyfleet.device import connect
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.oracle import open_oracle
from tinyfleet.platformio_build import build_firmware
from tinyfleet.verify import DeviceRunner, compare
from tinyfleet_codegen.compile import compile_graph, compile_model
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target

BOARD = "mps2_an386"


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that what a model does not change is compiled once."""
    return tmp_path_factory.mktemp("blob")


@pytest.mark.parametrize(
    "package", [ModelPackage("kws", standins.kws()), ModelPackage("stream", keyword_case("stream").tflite)], ids=["kws", "stream"]
)
def test_blob_on_board_equals_the_oracle_in_every_layer(package: ModelPackage, work_dir: Path) -> None:
    compile_model(package, BOARD, work_dir / "model", blob=True)
    assert (work_dir / "model/model.tfm").read_bytes()[:4] == b"TYFM"
    firmware = build_firmware(BOARD, work_dir / "model", work_dir / "firmware")
    model = compile_graph(package, load_target(BOARD))
    with EmulatedBoard.start(BOARD, firmware.elf, work_dir / "nvm.bin") as board, connect(board.url, timeout_s=60) as device:
        assert device.model_info().model_id == package.model_id
        result = compare(
            DeviceRunner(device, board.url), model, open_oracle(package.tflite, package.name), Cases(model, 11), count=4, per_layer=True
        )
    assert (result.checked, result.mismatches) == (4, 0), result.first_difference
    assert result.layers_compared >= 4


@pytest.mark.parametrize("name", ["ad", pytest.param("kws", marks=pytest.mark.full)])
def test_blob_costs_hardly_more_than_c_and_opens_fast(name: str, tmp_path: Path) -> None:
    cost = measure_blob(ModelPackage(name, standins.STANDINS[name]()), BOARD, tmp_path)
    assert cost.c_instructions <= cost.blob_instructions <= 1.01 * cost.c_instructions
    assert 0 < cost.open_instructions <= max(50_000, cost.blob_instructions // 50)
