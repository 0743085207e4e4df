"""Variables of streaming models: what becomes of them, what is refused, and that a lost state is seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.support.stream_case import accumulator_case, assign, constant_case, initialise, keyword_case, read, ring_case, swap_case, value
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet.cases import Cases
from tinyfleet.engine import HostModel
from tinyfleet.oracle import open_oracle
from tinyfleet.verify import HostRunner, ReferenceRunner, Runner, TargetResult, compare
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.errors import CompileError, FormatError, ShapeError, UnsupportedOp
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.tflite.reader import read_tflite

PACKAGE = ModelPackage("stream", keyword_case("stream").tflite)


def prove(runner: Runner, *, per_layer: bool = False) -> TargetResult:
    model = compile_graph(PACKAGE, None)
    return compare(runner, model, open_oracle(PACKAGE.tflite, "stream"), Cases(model, 5), count=40, per_layer=per_layer)


def host(mutant: CompiledModel) -> HostRunner:
    return HostRunner(HostModel(PACKAGE, compiled=mutant))


def mutate(pattern: str, replacement: str) -> CompiledModel:
    model = compile_graph(PACKAGE, None)
    changed, count = re.subn(pattern, replacement, model.source.model_c, count=1)
    assert count == 1
    return replace(model, source=replace(model.source, model_c=changed))


@pytest.mark.parametrize("make", [ReferenceRunner, host], ids=["reference", "host"])
@pytest.mark.parametrize("per_layer", [False, True])
def test_a_sequence_equals_the_oracle(make: Callable[[CompiledModel], Runner], per_layer: bool) -> None:
    result = prove(make(compile_graph(PACKAGE, None)), per_layer=per_layer)
    assert (result.checked, result.mismatches) == (40, 0), result.first_difference


@pytest.mark.parametrize(
    "mutation",
    [
        (r"memset\(arena \+ \d+, 128, 24\)", "memset(arena, 0, 0)"),  # a first value is not set
        (r"(tyf_copy_params op15_params = \{\s+\.run_bytes = )24", r"\g<1>8"),  # two of the six channels are kept
    ],
    ids=["first value", "last assignment"],
)
def test_a_lost_state_is_seen(mutation: tuple[str, str]) -> None:
    assert prove(host(mutate(*mutation)), per_layer=False).mismatches > 0


def test_reads_and_handles_cost_nothing() -> None:
    graph = read_tflite(ring_case("ring").tflite, "ring")
    assert [node.op.name for node in graph.nodes] == ["CONCATENATION", "STRIDED_SLICE", "ASSIGN_VARIABLE"]
    assert len(graph.states) == 1


def test_a_variable_that_never_changes_becomes_a_constant() -> None:
    graph = read_tflite(constant_case("c").tflite, "c")
    assert not graph.states
    assert [node.op.name for node in graph.nodes] == ["ADD"]


def test_a_swap_saves_the_old_value_first() -> None:
    graph = read_tflite(swap_case("swap").tflite, "swap")
    assert len(graph.states) == 2
    assert sum(node.op.name == "ASSIGN_VARIABLE" for node in graph.nodes) >= 2


def test_a_state_shares_its_place_with_nothing_but_its_next_value() -> None:
    for case in (keyword_case("k"), ring_case("r"), swap_case("s"), accumulator_case("a")):
        model = compile_graph(ModelPackage(case.name, case.tflite), None)
        for state in model.graph.states:
            start = model.plan.offsets[state.tensor]
            assert model.plan.offsets[state.next] == start
            end = start + model.graph.tensors[state.tensor].bytes
            for other, offset in model.plan.offsets.items():
                assert other in (state.tensor, state.next) or offset >= end or offset + model.graph.tensors[other].bytes <= start


def stream_model(build: Callable[[TfliteBuilder, int, int], None]) -> bytes:
    b = TfliteBuilder()
    x, y = value(b, (1, 4)), value(b, (1, 4))
    build(b, x, y)
    return b.build([x], [y])


def call_after_read(b: TfliteBuilder, x: int, y: int) -> None:
    kept = read(b, "v", (1, 4))
    initialise(b, {"v": ((1, 4), np.zeros(4))})
    b.op("ADD", [x, kept], [y])
    assign(b, "v", y)


def read_without_handle(b: TfliteBuilder, x: int, y: int) -> None:
    b.op("READ_VARIABLE", [x], [y])


def assign_another_shape(b: TfliteBuilder, x: int, y: int) -> None:
    b.op("ADD", [x, read(b, "v", (1, 1))], [y])
    assign(b, "v", y)


def assign_another_scale(b: TfliteBuilder, x: int, y: int) -> None:
    b.op("ADD", [x, read(b, "v", (1, 4))], [y])
    other = b.tensor((1, 4), scale=0.3)
    b.op("QUANTIZE", [y], [other])
    assign(b, "v", other)


def start_as_another_shape(b: TfliteBuilder, x: int, y: int) -> None:
    initialise(b, {"v": ((1, 3), np.zeros(3))})
    b.op("ADD", [x, read(b, "v", (1, 4))], [y])
    assign(b, "v", y)


def missing_subgraph(b: TfliteBuilder, x: int, y: int) -> None:
    b.op("CALL_ONCE", [], [], initSubgraphIndex=7)
    b.op("ADD", [x, x], [y])


def initialise_from_nothing(b: TfliteBuilder, x: int, y: int) -> None:
    init = b.subgraph()
    init.op("ASSIGN_VARIABLE", [init.handle("v"), value(init, (1, 4))], [])
    b.op("CALL_ONCE", [], [], initSubgraphIndex=1)
    b.op("ADD", [x, x], [y])


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (call_after_read, UnsupportedOp, "after a variable was read"),
        (read_without_handle, FormatError, "no handle"),
        (assign_another_shape, ShapeError, r"assigns \[1, 4\] to a variable of shape \[1, 1\]"),
        (assign_another_scale, CompileError, "one scale and zero point"),
        (start_as_another_shape, ShapeError, "starts as int8"),
        (missing_subgraph, FormatError, "names number 7"),
        (initialise_from_nothing, UnsupportedOp, "does not follow from constants"),
    ],
)
def test_misused_variables_are_refused(build: Callable[[TfliteBuilder, int, int], None], error: type[CompileError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_tflite(stream_model(build), "m")
