"""Every op case: TFLite Micro = NumPy reference = C on the host (under sanitizers) = C on emulated Cortex-M boards."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.support.batch import MACHINES, compile_cases, run_on_board, run_on_host
from tests.support.op_cases import OpCase, all_cases
from tinyfleet.cases import Cases
from tinyfleet.oracle import open_oracle
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.ops import OPS
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import run_sequence

SEED = 20261125
INPUTS = 10
CASES = [case for cases in all_cases().values() for case in cases]


@cache
def expected_outputs(case: OpCase) -> Array:
    """The oracle's outputs ``[INPUTS, ...]``."""
    model = compile_graph(ModelPackage(case.name, case.tflite), None)
    return open_oracle(case.tflite, case.name).run(Cases(model, SEED).inputs(0, INPUTS))


def test_every_op_has_cases_and_every_case_an_op() -> None:
    assert set(all_cases()) == set(OPS)
    assert all(len(cases) >= 3 for cases in all_cases().values())


def test_case_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reference_equals_the_oracle(case: OpCase) -> None:
    model = compile_graph(ModelPackage(case.name, case.tflite), None)
    inputs = Cases(model, SEED).inputs(0, INPUTS)
    np.testing.assert_array_equal(run_sequence(model.graph, inputs), expected_outputs(case))


def assert_batch_equals_oracle(outputs: list[Array]) -> None:
    different = [c.name for c, got in zip(CASES, outputs, strict=True) if not np.array_equal(got, expected_outputs(c))]
    assert not different, f"{len(different)} of {len(CASES)} cases differ from the oracle: {different}"


def test_host_c_equals_the_oracle_under_sanitizers(tmp_path: Path) -> None:
    assert_batch_equals_oracle(run_on_host(compile_cases(CASES), tmp_path, seed=SEED, inputs=INPUTS))


@pytest.mark.parametrize("board", MACHINES)
def test_board_c_equals_the_oracle(board: str, tmp_path: Path) -> None:
    assert_batch_equals_oracle(run_on_board(compile_cases(CASES, board), tmp_path, seed=SEED, inputs=INPUTS, board=board))
