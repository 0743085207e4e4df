"""Damaged and hostile blobs: they are refused, or they run inside their blob and arena."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.blob_fuzz import build_fuzzer, corpus_blobs, fuzz, fuzz_on_board, write_corpus
from tests.support.op_cases import all_cases
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.abi import c_headers, contract
from tinyfleet_codegen.abi.table import print_kernel_table
from tinyfleet_codegen.firmware_tree import HOST_CLASS

ROUNDS = 100_000
BOARD_ROUNDS = 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the program is built and the corpus lies."""
    path = tmp_path_factory.mktemp("blob_fuzz")
    write_corpus(path)
    return path


@pytest.mark.parametrize("seed", [1])
def test_damaged_blobs_never_leave_their_memory(seed: int, folder: Path) -> None:
    result = fuzz(build_fuzzer(folder), sorted(folder.glob("*.tfm")), seed=seed, rounds=ROUNDS, timeout_s=200)
    assert not result.finding
    assert sum(result.statuses.values()) == ROUNDS
    # Most damage is refused, but enough must get through to the kernels for this to mean something.
    assert ROUNDS // 10 < result.statuses["OK"] < ROUNDS // 2
    assert {"ERR_FORMAT", "ERR_VERSION", "ERR_ARENA", "ERR_TOO_LARGE"} <= set(result.statuses)


@pytest.mark.parametrize("board", ["mps2_an386", *(pytest.param(b, marks=pytest.mark.full) for b in ("mps2_an385_v6m", "mps3_an547"))])
def test_damaged_blobs_on_a_board_never_leave_their_memory(board: str, tmp_path: Path) -> None:
    # The kernels of these cores do not run where sanitizers do.
    ran, finding = fuzz_on_board(tmp_path, board, seed=1, rounds=BOARD_ROUNDS, timeout_s=200)
    assert not finding
    assert ran > BOARD_ROUNDS // 10


def test_corpus_holds_most_op_cases() -> None:
    assert len(corpus_blobs()) > 0.9 * sum(map(len, all_cases().values()))


@pytest.fixture
def headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the kernels' header to spoil."""
    path = tmp_path / "kernels.h"
    path.write_text((firmware_tree.firmware_dir() / "lib/nn/include/tyf/nn/kernels.h").read_text())
    monkeypatch.setattr(c_headers, "kernel_headers", lambda _: [path])
    for cached in (c_headers.read_headers, contract.read_contracts):
        cached.cache_clear()
    yield path
    for cached in (c_headers.read_headers, contract.read_contracts):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("(output_h - 1) * stride_h < input_h + pad_h && ", "", id="windows below the image"),
        pytest.param("pad_h <= (kernel_h - 1) * dilation_h && ", "", id="windows above the image", marks=pytest.mark.full),
        pytest.param(
            "@param weights    [output_c, kernel_h, kernel_w, filter_c]",
            "@param weights    [output_c, kernel_h]",
            id="weights",
            marks=pytest.mark.full,
        ),
        pytest.param("@param bias       [output_c]", "@param bias       [1]", id="bias", marks=pytest.mark.full),
        pytest.param("@param shift      [output_c] in [-31, 30]", "@param shift      [output_c]", id="shifts out of range"),
        pytest.param(" && output_c % (input_c / filter_c) == 0", "", id="groups that do not divide"),
        pytest.param("@param a       [span(dims, a.strides)]", "@param a       [dims]", id="strides"),
        pytest.param("&& behind(dims, output_strides) <= output_start", "", id="strides that go back", marks=pytest.mark.full),
        pytest.param("@param output  [before + input_dims + after]", "@param output  [input_dims]", id="padding", marks=pytest.mark.full),
        pytest.param("overlaps nothing", "", id="overlap", marks=pytest.mark.full),
    ],
)
def test_a_weaker_contract_is_found(before: str, after: str, headers: Path, folder: Path) -> None:
    text = headers.read_text()
    assert before in text
    headers.write_text(text.replace(before, after, 1))
    program = build_fuzzer(folder, print_kernel_table(HOST_CLASS))
    result = fuzz(program, sorted(folder.glob("*.tfm")), seed=1, rounds=3 * ROUNDS, timeout_s=250)
    assert result.finding
