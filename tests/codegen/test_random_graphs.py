"""Random models, see ``tests/support/graph_proof.py``: a fixed list of seeds, and one new seed a run, which is printed.

A failure prints the seed, and a smaller model that still fails. To look at one again:
``.venv/bin/python -m tests.campaigns.random_graphs --seed SEED --graphs 1``. Many more run in that campaign.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pytest

from tests.support.batch import MACHINES
from tests.support.graph_proof import Counts, Failure, prove_compiled, prove_reference
from tests.support.random_graphs import pieces
from tinyfleet_codegen.kernels import KERNELS
from tinyfleet_codegen.target import load_target

REFERENCE_SEEDS = range(400)
COMPILED_SEEDS = range(40)
BOARD_SEEDS = range(100, 140)
FULL_SEEDS = range(10_000, 12_500)
BATCH = 50


@pytest.fixture(scope="module")
def fresh_seed() -> int:
    """A seed that no run before had."""
    seed = 1_000_000 + secrets.randbelow(2**30)
    print(f"fresh seed {seed}")
    return seed


def require_none(failures: list[Failure]) -> None:
    assert not failures, "\n\n".join(map(str, failures))


def prove_batches(seeds: Sequence[int], board: str | None) -> Counts:
    total = Counts()
    for at in range(0, len(seeds), BATCH):
        counts, failures = prove_compiled(seeds[at : at + BATCH], board)
        require_none(failures)
        total.add(counts)
    return total


def require_every_kernel(counts: Counts, board: str) -> None:
    missing = {kernel.symbol for kernel in KERNELS.get(load_target(board).cpu_class, ())} - set(counts.kernels)
    assert not missing, f"no graph reached {missing}"


def test_reference_equals_the_oracle_layer_by_layer(fresh_seed: int) -> None:
    counts, failures = prove_reference([*REFERENCE_SEEDS, *range(fresh_seed, fresh_seed + 100)])
    require_none(failures)
    assert counts.graphs == len(REFERENCE_SEEDS) + 100
    # What is saturated or constant proves little.
    assert counts.informative > 0.7 * counts.layers, counts
    assert set(counts.ops) >= set(pieces()), f"no graph has {set(pieces()) - set(counts.ops)}"


@pytest.mark.timeout(300)
def test_host_c_equals_the_reference_layer_by_layer(fresh_seed: int) -> None:
    assert prove_batches([*COMPILED_SEEDS, *range(fresh_seed, fresh_seed + 10)], None).graphs == len(COMPILED_SEEDS) + 10


@pytest.mark.timeout(300)
def test_board_c_equals_the_reference_layer_by_layer(fresh_seed: int) -> None:
    counts = prove_batches([*BOARD_SEEDS, *range(fresh_seed, fresh_seed + 6)], "mps2_an386")
    require_every_kernel(counts, "mps2_an386")


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", [None, *MACHINES])
def test_many_graphs(target: str | None) -> None:
    if target is None:
        counts, failures = prove_reference(FULL_SEEDS)
        require_none(failures)
        assert counts.graphs == len(FULL_SEEDS)
    counts = prove_batches(FULL_SEEDS[:250], target)
    assert counts.graphs == 250
    if target is not None:
        require_every_kernel(counts, target)
