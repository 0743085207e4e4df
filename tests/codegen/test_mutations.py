"""Broken on purpose, one thing at a time: ``verify`` must see it and name the first layer that differs."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support import standins
from tinyfleet.cases import Cases
from tinyfleet.engine import HostModel, host_build
from tinyfleet.oracle import open_oracle
from tinyfleet.verify import HostRunner, TargetResult, compare
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import run_layers

PACKAGE = ModelPackage("kws", standins.kws())


def verify_mutant(mutant: CompiledModel) -> TargetResult:
    model = compile_graph(PACKAGE, None)
    runner = HostRunner(HostModel(PACKAGE, compiled=mutant))
    return compare(runner, model, open_oracle(PACKAGE.tflite, "kws"), Cases(model, 5), count=12, per_layer=True)


def mutate_source(pattern: str, replacement: str) -> CompiledModel:
    model = compile_graph(PACKAGE, None)
    changed, count = re.subn(pattern, replacement, model.source.model_c, count=1, flags=re.DOTALL)
    assert count == 1 and changed != model.source.model_c
    return replace(model, source=replace(model.source, model_c=changed))


def test_the_unchanged_model_is_equal() -> None:
    result = verify_mutant(compile_graph(PACKAGE, None))
    assert result.checked == 12 and result.mismatches == 0 and result.first_difference is None


def test_one_bit_of_one_weight_is_seen_in_its_layer() -> None:
    model = compile_graph(PACKAGE, None)
    # Of the dense layer, take a weight whose input is not always zero: a bit that never counts cannot be seen.
    features = np.stack([run_layers(model.graph, Cases(model, 5).input(case))[10][0] for case in range(12)]).astype(int)
    active = int(np.abs(features + 128).sum(axis=0).argmax())
    for op, position in ((0, 0), (2, 0), (7, 0), (11, active)):
        pattern = rf"(op{op}_weights\[\d+\] = \{{\s+(?:-?\d+,\s+){{{position}}})(-?\d+)(,)"
        changed, count = re.subn(pattern, lambda m: f"{m[1]}{int(m[2]) ^ 0x40}{m[3]}", model.source.model_c, count=1)
        assert count == 1
        result = verify_mutant(replace(model, source=replace(model.source, model_c=changed)))
        assert result.mismatches > 0, f"op {op}"
        assert result.first_difference is not None and result.first_difference.op.startswith(f"op {op} (")


def test_a_tensor_moved_onto_another_one_is_seen() -> None:
    # The second layer then writes over the input that it is still reading.
    model = compile_graph(PACKAGE, None)
    first, second = (model.plan.offsets[node.outputs[0]] for node in model.graph.nodes[:2])
    mutant = mutate_source(rf"(op1_shift, \(int8_t \*\)\(void \*\)\(arena \+ ){second}\)", rf"\g<1>{first})")
    result = verify_mutant(mutant)
    assert result.mismatches > 0
    assert result.first_difference is not None and result.first_difference.op == "op 1 (DEPTHWISE_CONV_2D)"


@pytest.mark.parametrize(
    ("file", "before", "after", "op"),
    [
        # Ties of negative sums: in the layers with ReLU they are clamped away, so the dense layer shows them first.
        ("include/tyf/nn/fixed.h", "remainder > threshold ? 1 : 0", "remainder >= threshold ? 1 : 0", "op 1 (DEPTHWISE_CONV_2D)"),
        ("include/tyf/nn/fixed.h", "(x < 0 ? 1 : 0)", "0", "op 11 (FULLY_CONNECTED)"),
        ("include/tyf/nn/fixed.h", "product >= 0 ? INT64_C(1) << 30 : 1 - (INT64_C(1) << 30)", "0", "op 0 (CONV_2D)"),
        ("src/depthwise_conv2d_s8_ref.c", "kx < win->kernel_w", "kx + 1 < win->kernel_w", "op 1 (DEPTHWISE_CONV_2D)"),
        ("src/pool2d_s8_ref.c", "(sum - count / 2) / count", "sum / count", "op 9 (AVERAGE_POOL_2D)"),
        ("src/softmax_s8_ref.c", "i < 3", "i < 1", "op 12 (SOFTMAX)"),
    ],
)
def test_a_changed_kernel_is_seen_in_its_layer(
    file: str, before: str, after: str, op: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(firmware_dir() / "lib", tmp_path / "lib")
    source = tmp_path / "lib/nn" / file
    text = source.read_text()
    assert before in text
    source.write_text(text.replace(before, after))
    for module in (host_build, firmware_tree):
        monkeypatch.setattr(module, "firmware_dir", lambda: tmp_path)
    result = verify_mutant(compile_graph(PACKAGE, None))
    assert result.mismatches > 0
    assert result.first_difference is not None and result.first_difference.op == op


class OneLayerShort(HostRunner):
    """A target that shows one layer too few, as firmware of another compiler would."""

    def layers(self, cases: Cases, case: int) -> list[bytes]:
        return super().layers(cases, case)[:-1]


def test_a_target_with_another_number_of_layers_is_not_equal() -> None:
    # The outputs agree; what the layers showed must not be forgotten when they are compared instead.
    model = compile_graph(PACKAGE, None)
    runner = OneLayerShort(HostModel(PACKAGE, compiled=model))
    result = compare(runner, model, open_oracle(PACKAGE.tflite, "kws"), Cases(model, 5), count=4, per_layer=True)
    assert (result.checked, result.mismatches) == (4, 4)
    assert result.first_difference is not None and "12 layers instead of 13" in result.first_difference.tensor
