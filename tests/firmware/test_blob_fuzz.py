"""Damaged and hostile blobs: they are refused, or they run inside their blob and arena."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.blob_fuzz import build_fuzzer, corpus_blobs, fuzz, write_corpus
from tests.support.op_cases import all_cases

ROUNDS = 100_000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1])
def test_damaged_blobs_never_leave_their_memory(seed: int, tmp_path: Path) -> None:
    result = fuzz(build_fuzzer(tmp_path), write_corpus(tmp_path), seed=seed, rounds=ROUNDS, timeout_s=200)
    assert not result.finding
    assert sum(result.statuses.values()) == ROUNDS
    # Most damage is refused, but enough must get through to the kernels for this to mean something.
    assert ROUNDS // 10 < result.statuses["OK"] < ROUNDS // 2
    assert {"ERR_FORMAT", "ERR_VERSION", "ERR_ARENA", "ERR_TOO_LARGE"} <= set(result.statuses)


def test_corpus_holds_most_op_cases() -> None:
    assert len(corpus_blobs()) > 0.9 * sum(map(len, all_cases().values()))
