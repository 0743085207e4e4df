"""Models as blobs: opened and run by ``lib/model``, equal to TFLite Micro like the generated C."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.codegen.test_ops import CASES, INPUTS, SEED, assert_batch_equals_oracle
from tests.support.batch import compile_cases, run_on_board, run_on_host


@pytest.mark.timeout(600)
def test_host_blobs_equal_the_oracle_under_sanitizers(tmp_path: Path) -> None:
    assert_batch_equals_oracle(run_on_host(compile_cases(CASES), tmp_path, seed=SEED, inputs=INPUTS, blobs=True))


@pytest.mark.timeout(600)
def test_board_blobs_equal_the_oracle(tmp_path: Path) -> None:
    board = "mps2_an386"
    assert_batch_equals_oracle(run_on_board(compile_cases(CASES, board), tmp_path, seed=SEED, inputs=INPUTS, board=board, blobs=True))
