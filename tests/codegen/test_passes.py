"""Passes leave every output byte unchanged and do what their name says."""

from __future__ import annotations

import numpy as np

from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.passes import run_passes
from tinyfleet_codegen.passes.drop_dead import drop_dead
from tinyfleet_codegen.passes.fold_constants import fold_constants
from tinyfleet_codegen.reference import run_layers
from tinyfleet_codegen.tflite.reader import read_tflite


def model_with_constant_and_dead_nodes() -> bytes:
    b = TfliteBuilder()
    x = b.tensor((1, 2, 3, 2), scale=0.1)
    c = b.tensor((1, 2, 3, 2), scale=0.05, zero_point=2, data=np.arange(12))
    folded, dead, y = (b.tensor((1, 2, 3, 2), scale=0.1) for _ in range(3))
    b.op("ADD", [c, c], [folded])
    b.op("ADD", [x, x], [dead])
    b.op("ADD", [x, folded], [y])
    return b.build([x], [y])


def test_pipeline_folds_and_drops_and_changes_no_byte() -> None:
    before = read_tflite(model_with_constant_and_dead_nodes(), "m")
    after = run_passes(before)
    assert [node.index for node in after.nodes] == [2]
    x = np.arange(-6, 6, dtype=np.int8).reshape(1, 2, 3, 2)
    np.testing.assert_array_equal(run_layers(before, x)[-1], run_layers(after, x)[-1])


def test_fold_keeps_the_node_that_makes_the_output() -> None:
    b = TfliteBuilder()
    x = b.tensor((1, 4), scale=0.1)
    c = b.tensor((1, 4), scale=0.1, data=np.arange(4))
    y = b.tensor((1, 4), scale=0.1)
    b.op("ADD", [c, c], [y])
    graph = fold_constants(read_tflite(b.build([x], [y]), "m"))
    assert len(graph.nodes) == 1


def test_drop_dead_keeps_everything_that_is_used() -> None:
    graph = read_tflite(model_with_constant_and_dead_nodes(), "m")
    assert [node.index for node in drop_dead(graph).nodes] == [0, 2]
