"""Random models, see ``tests/support/graph_proof.py``: a fixed list of seeds, and one new seed a run, which is printed.

A failure prints the seed, and a smaller model that still fails. To look at one again, on the same commit (a new op changes what a seed
means): ``.venv/bin/python -m tests.campaigns.random_graphs --seed SEED --graphs 1``. Many more run in that campaign.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support import graph_proof
from tests.support.batch import MACHINES
from tests.support.graph_proof import Counts, Failure, prove_compiled, prove_reference, specs_for_kernels
from tests.support.random_graphs import int16_spec, op_specs, pruned_spec, random_spec
from tests.support.random_rules import GraphSpec
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.kernels import KERNELS
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import run_layers
from tinyfleet_codegen.target import load_target

FULL_SEEDS = range(10_000, 12_500)
BATCH = 50


def specs(first: int, count: int) -> list[GraphSpec]:
    return [random_spec(seed) for seed in range(first, first + count)]


@pytest.fixture(scope="module")
def fresh_seed() -> int:
    """A seed that no run before had."""
    seed = 1_000_000 + secrets.randbelow(2**30)
    print(f"fresh seed {seed}")
    return seed


def require_none(failures: list[Failure]) -> None:
    assert not failures, "\n\n".join(map(str, failures))


def prove_batches(graphs: Sequence[GraphSpec], board: str | None, *, blobs: bool = False) -> Counts:
    total = Counts()
    for at in range(0, len(graphs), BATCH):
        counts, failures = prove_compiled(graphs[at : at + BATCH], board, blobs=blobs)
        require_none(failures)
        total.add(counts)
    return total


def require_kernels(counts: Counts, board: str) -> None:
    """Nearly all kernels of the board's core; that each has an op case is tested elsewhere."""
    wanted = {kernel.symbol for kernel in KERNELS.get(load_target(board).cpu_class, ())}
    missing = wanted - set(counts.kernels)
    assert len(missing) <= len(wanted) // 4, f"no graph reached {missing}"


def test_reference_equals_the_oracle_layer_by_layer(fresh_seed: int) -> None:
    int16 = map(int16_spec, (*range(40), *range(fresh_seed, fresh_seed + 20)))
    counts, failures = prove_reference([*specs(0, 200), *specs(fresh_seed, 100), *map(pruned_spec, range(100)), *int16])
    require_none(failures)
    assert counts.graphs == 460
    # What is saturated or constant proves little.
    assert counts.informative > 0.6 * counts.layers, counts


def test_every_op_stands_in_a_larger_graph(fresh_seed: int) -> None:
    # A case may ask for more than a bridge can give, or be part of a table: of one op not every seed's graph has it.
    fixed = [spec for seed in (0, 1000, 2000) for spec in op_specs(seed)]
    counts, failures = prove_reference(fixed)
    require_none(failures)
    assert set(counts.ops) >= {spec.steps[0].rule.removeprefix("case of ") for spec in fixed}
    require_none(prove_reference([*op_specs(fresh_seed)])[1])


def test_host_c_equals_the_reference_layer_by_layer(fresh_seed: int) -> None:
    assert prove_batches([*specs(0, 30), *specs(fresh_seed, 10), *map(int16_spec, range(100, 110))], None).graphs == 50


def test_board_c_equals_the_reference_layer_by_layer(fresh_seed: int) -> None:
    chosen = specs_for_kernels("mps2_an386", specs(100, 300), 35)
    require_kernels(prove_batches([*chosen, *specs(fresh_seed, 5), *map(int16_spec, range(110, 115))], "mps2_an386"), "mps2_an386")


def test_a_constant_that_a_node_reads_twice_is_declared_once() -> None:
    # Nodes of constants alone are folded, but for those that make the model's output; a random graph had one.
    b = TfliteBuilder()
    x, c, y = (b.tensor((1, 4), scale=0.1, data=[1, 2, 3, 4] if i == 1 else None) for i in range(3))
    b.op("ADD", [c, c], [y])
    model = compile_graph(ModelPackage("twice", b.build([x], [y])), None)
    assert model.source.model_c.count("op0_tensor1[4] = {") == 1


def test_a_failure_tells_its_seed_and_a_small_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong_pads(graph: Graph, value: Array) -> list[Array]:
        layers = run_layers(graph, value)
        wrong = [node.op.name == "PAD" for node in graph.nodes]
        return [np.bitwise_xor(x, np.ones_like(x)) if is_wrong else x for x, is_wrong in zip(layers, wrong, strict=True)]

    monkeypatch.setattr(graph_proof, "run_layers", wrong_pads)
    padded = [spec for spec in specs(0, 60) if any(step.rule == "PAD" for step in spec.steps)]
    _, failures = prove_reference(padded[:2])
    assert failures
    for failure in failures:
        assert len(failure.smallest.steps) == 1
        assert f"seed {failure.seed}: " in str(failure) and "PAD(" in str(failure)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", [None, *MACHINES])
def test_many_graphs(target: str | None) -> None:
    if target is None:
        counts, failures = prove_reference(map(random_spec, FULL_SEEDS))
        require_none(failures)
        assert counts.graphs == len(FULL_SEEDS)
        require_none(prove_reference(map(int16_spec, FULL_SEEDS[:500]))[1])
    counts = prove_batches([*map(random_spec, FULL_SEEDS[:250]), *map(int16_spec, FULL_SEEDS[:50])], target)
    assert counts.graphs == 300
    if target is not None:
        require_kernels(counts, target)
        prove_batches(list(map(random_spec, FULL_SEEDS[:250])), target, blobs=True)
