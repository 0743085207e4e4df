"""Broken on purpose in the compiler, one thing at a time: passes, arithmetic, plan, packing. The random graphs must see each.

Mutants of packing are compiled into one program, as the kernels are the same for all of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import batch
from tests.support.graph_proof import INPUT_SEED, INPUTS, check_reference, require_layers
from tests.support.mutate import mutate_text
from tests.support.random_graphs import build, pruned_spec, random_spec
from tests.support.random_rules import GraphSpec, Step
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.kernels import KERNELS
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.wire.ids import DType

# First a model whose output does not depend on its input, which is rare among random ones.
KNOWN = GraphSpec(1, (1, 5), DType.INT8, False, False, (Step(1, "known", 1, 0), Step(2, "RESHAPE", 2, 1)))
REFERENCE_SPECS = [KNOWN] + [spec for seed in range(200) for spec in (pruned_spec(seed), random_spec(seed, with_cases=False))]
BOARD = "mps2_an386"
BOARD_SPECS = [random_spec(seed, with_cases=False) for seed in range(100, 116)]


@dataclass(frozen=True)
class Mutation:
    """One change of a function's text."""

    module: str
    function: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.module}.{self.function}: {self.before} -> {self.after}"

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> bool:
        """False when the text has changed since."""
        target: Any = importlib.import_module(f"tinyfleet_codegen.{self.module}")
        for name in self.function.split("."):
            target = getattr(target, name)
        return mutate_text(monkeypatch, target, self.before, self.after)


ON_REFERENCE_OR_BLOB = [
    # Passes without one of their conditions.
    Mutation("passes.fold_constants", "fold_constants", "all(i is None or", "any(i is None or"),
    Mutation("passes.fold_constants", "fold_constants", "not in graph.results", "not in graph.inputs"),
    Mutation("passes.drop_dead", "drop_dead", "for i in node.inputs if", "for i in node.inputs[:1] if"),
    Mutation(
        "passes.remove_channels", "_usable", "source.where & (source.value == graph.input_tensor(node, 0).zero_point)", "source.where"
    ),
    Mutation("passes.remove_channels", "_known_of_sums", "~reads_unknown |", "~reads_unknown | ~has_weights[::-1] |"),
    Mutation("passes.remove_channels", "_keep_for", "~_usable(graph, node, known[_source(node)])", "~known[_source(node)].where"),
    Mutation("passes.remove_channels", "_find_known", "np.clip(source.value, *_clamp(node, output))", "source.value"),
    Mutation("passes.remove_channels", "_cut_weights", "sums = sums + _known_sums", "_known_sums"),
    Mutation("passes.remove_channels", "_cut_quantization", "quant.scales[i] for i in left", "quant.scales[i] for i in range(len(left))"),
    # Arithmetic.
    Mutation("geometry", "window_axis", "extent - size) // 2", "extent - size + 1) // 2"),
    Mutation("geometry", "activation_range", "(0.0, 6.0)", "(0.0, 5.9)"),
    Mutation("convolution", "shifted_inputs", "ky * rows.dilation", "ky"),
    Mutation("quant", "requantize", "rounding_shift_right(rounding", "np.right_shift(rounding"),
    # Plan and constants: seen in the blob.
    Mutation("plan", "_Lifetimes._run", "step)\n    source = ", "step - 1)\n    source = "),
    Mutation("plan", "_Lifetimes._run", "if shares and source is not None", "if False"),
    Mutation("plan", "_Lifetimes._over", "self._last[self._root[tensor]] != step", "False"),
    Mutation("placement", "_Packer.__init__", "box.first <= other.last and other.first <= box.last", "box.first == other.first"),
    Mutation("placement", "_Packer.lowest", "distance >= self._apart[i][j]", "distance >= self._apart[i][j] - ALIGNMENT"),
    Mutation("overlap", "forward_overlap", "[counts].max()", "[counts].min()"),
    Mutation("weights", "emit_weighted", "np.array(scaling.shifts)", "np.array(scaling.shifts[::-1])"),
]

IN_BOARD_CODE = [
    Mutation("kernels.dsp.tables", "pack_rows", "transpose(0, 2, 1, 3)", "transpose(0, 1, 2, 3)"),
    Mutation("kernels.dsp.tables", "pack_taps", "transpose(2, 0, 3, 1)", "transpose(2, 0, 1, 3)"),
    Mutation("kernels.dsp.tables", "as_halves", "256 * padded[:, 1::2] + padded[:, 0::2]", "256 * padded[:, 0::2] + padded[:, 1::2]"),
    Mutation("kernels.dsp.tables", "channel_table", "<< (right - 1)", "<< right"),
]


def applied(mutations: Sequence[Mutation]) -> Iterator[Mutation]:
    """Each mutation while it is in force."""
    for mutation in mutations:
        with pytest.MonkeyPatch.context() as monkeypatch:
            assert mutation.apply(monkeypatch), f"does not apply any more, which proves nothing; bring it up to date: {mutation}"
            yield mutation


def breaks(spec: GraphSpec) -> bool:
    try:
        check_reference(spec)
    except Exception:  # a broken compiler may fail in any way
        return True
    return False


def test_nothing_is_seen_when_nothing_is_broken() -> None:
    assert not any(map(breaks, REFERENCE_SPECS[:100]))


def test_a_broken_compiler_is_seen_on_reference_or_blob() -> None:
    assert [str(mutation) for mutation in applied(ON_REFERENCE_OR_BLOB) if not any(map(breaks, REFERENCE_SPECS))] == []


def test_a_broken_compiler_is_seen_in_board_code(tmp_path: Path) -> None:
    target = load_target(BOARD)
    unseen, models = set(), []
    for number, mutation in enumerate(applied(IN_BOARD_CODE)):
        unseen.add(mutation)
        models += [(mutation, compile_graph(ModelPackage(f"m{number}g{spec.seed}", build(spec)), target)) for spec in BOARD_SPECS]
    written = batch.run_layers([model for _, model in models], tmp_path, seed=INPUT_SEED, inputs=INPUTS, board=BOARD)
    for (mutation, model), layers in zip(models, written, strict=True):
        try:
            require_layers(model, BOARD, layers)
        except AssertionError:
            unseen.discard(mutation)
    assert unseen == set()


def test_borrowed_memory_that_is_too_small_is_seen(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for kind, whole in [(type(kernel), kernel.scratch_bytes) for kernel in KERNELS["dsp"]]:
            monkeypatch.setattr(kind, "scratch_bytes", lambda self, graph, node, whole=whole: whole(graph, node) // 2)
        models = [compile_graph(ModelPackage(f"g{spec.seed}", build(spec)), load_target(BOARD)) for spec in BOARD_SPECS]
    with pytest.raises(AssertionError, match=r"outside of its arena|C on mps2_an386"):
        for model, layers in zip(models, batch.run_layers(models, tmp_path, seed=INPUT_SEED, inputs=INPUTS, board=BOARD), strict=True):
            require_layers(model, BOARD, layers)
