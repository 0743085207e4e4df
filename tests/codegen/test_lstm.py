"""UNIDIRECTIONAL_SEQUENCE_LSTM: what is refused, and that a lost state is seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import flatbuffers
import numpy as np
import pytest

from tests.support.op_cases.unidirectional_sequence_lstm import lstm_case
from tests.support.tflite_builder import schema
from tinyfleet.cases import Cases
from tinyfleet.engine import HostModel
from tinyfleet.oracle import open_oracle
from tinyfleet.verify import HostRunner, compare
from tinyfleet_codegen.abi.contract import Violation
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.emit.blob import blob_steps
from tinyfleet_codegen.errors import CompileError
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import run_sequence
from tinyfleet_codegen.tflite.reader import read_tflite

CASE = lstm_case("lstm")
PACKAGE = ModelPackage(CASE.name, CASE.tflite)


def changed(change: Callable[[Any, Any], None]) -> bytes:
    """The case with something changed in its subgraph and its one operator."""
    model = schema.ModelT.InitFromPackedBuf(CASE.tflite, 0)
    change(model.subgraphs[0], model.subgraphs[0].operators[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def set_input(position: int, source: int) -> Callable[[Any, Any], None]:
    def change(_: Any, op: Any) -> None:
        inputs = list(op.inputs)
        inputs[position] = inputs[source] if source >= 0 else -1
        op.inputs = inputs

    return change


def set_cells(scale: float) -> Callable[[Any, Any], None]:
    def change(graph: Any, op: Any) -> None:
        graph.tensors[op.inputs[19]].quantization.scale = [scale]

    return change


def set_option(name: str, value: Any) -> Callable[[Any, Any], None]:
    def change(_: Any, op: Any) -> None:
        setattr(op.builtinOptions, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_input(9, 12), "peepholes"),
        (set_input(16, 5), "projection"),
        (set_input(20, 12), "layer normalisation"),
        (set_input(1, -1), "input 1 is absent"),
        (set_input(12, -1), "input 12 is absent"),
        (set_input(18, 5), "input 18 is no variable"),
        (set_input(5, 1), r"recurrent weights .* has shape \[6, 5\], expected \[6, 6\]"),
        (set_cells(0.0003), "cells have scale"),
        (set_cells(2.0), "cells have scale"),
        (set_option("fusedActivationFunction", 1), "activation 1"),
        (set_option("cellClip", -1.0), "clips cells at -1.0"),
        (set_option("cellClip", float("nan")), "clips cells at nan"),
        (set_option("timeMajor", True), "batch of more than 1"),
    ],
)
def test_what_the_kernel_cannot_do_is_refused(change: Callable[[Any, Any], None], words: str) -> None:
    with pytest.raises(CompileError, match=words):
        read_tflite(changed(change), "m")


@pytest.mark.parametrize(
    "mutation",
    [(r"memset\(arena \+ \d+, 4, 6\)", "memset(arena, 0, 0)"), (r"(\.cell_max = )32767", r"\g<1>100")],
    ids=["first output state", "cells"],
)
def test_a_changed_state_is_seen(mutation: tuple[str, str]) -> None:
    model = compile_graph(PACKAGE, None)
    model_c, count = re.subn(*mutation, model.source.model_c, count=1)
    assert count == 1
    mutant = replace(model, source=replace(model.source, model_c=model_c))
    runner = HostRunner(HostModel(PACKAGE, compiled=mutant))
    assert compare(runner, model, open_oracle(PACKAGE.tflite, "lstm"), Cases(model, 5), count=20, per_layer=False).mismatches > 0


def test_scales_are_multiplied_in_double() -> None:
    # In float32 one step of a gate is lost on the third input; 700 units carry it on to 138 of the 4,200 outputs.
    weight_scales = (0.00800746586, 0.0080401702, 0.0080130063, 0.00802426226, 0.0080080368, 0.008041881, 0.0080328174, 0.00806782488)
    scales = (0.03108713962, 0.002, 0.01)
    case = lstm_case("d61", steps=1, size=8, units=700, scales=scales, weight_scales=weight_scales, bias=1000)
    graph = read_tflite(case.tflite, case.name)
    x = Cases(compile_graph(ModelPackage(case.name, case.tflite), None), 3).inputs(2, 6)
    np.testing.assert_array_equal(run_sequence(graph, x), open_oracle(case.tflite, case.name).run(x))


def test_an_output_over_the_output_state_is_refused() -> None:
    # The last output is copied there; damaged blobs found that the two could overlap.
    model = compile_graph(PACKAGE, None)
    (step,) = (s for s in blob_steps(model.graph, model.plan, HOST_CLASS).steps if s.contract is not None)
    assert step.contract is not None
    data = step.arguments[1:]
    sizes, places = [a.bytes for a in data], [a.offset if a.in_arena else None for a in data]
    step.contract.check(step.fields, sizes, places)
    hidden, output = (next(i for i, a in enumerate(step.contract.arguments) if a.name == name) for name in ("hidden", "output"))
    places[output] = (places[hidden] or 0) + 2
    with pytest.raises(Violation, match="hidden overlaps output"):
        step.contract.check(step.fields, sizes, places)


def test_two_layers_share_the_table() -> None:
    case = lstm_case("lstm_two_layers", layers=2)
    model = compile_graph(ModelPackage(case.name, case.tflite), None)
    assert model.source.model_c.count("table[256]") == 1
    assert model.source.model_c.count("tyf_lstm_s8(") == 2
