"""One thing broken in each portable kernel: the op cases must see it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support import batch
from tests.support.op_cases import all_cases
from tinyfleet.cases import Cases
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import run_sequence

SEED = 20261126
INPUTS = 4

MUTATIONS = {
    ("LOGISTIC", "lookup_s8_ref.c"): ("(uint8_t)input[i]", "(uint8_t)(input[i] + 1)"),
    ("TRANSPOSE", "copy_ref.c"): ("source += index[d] * p->input_strides[d]", "source += index[d] * p->input_strides[3 - d]"),
    ("CONCATENATION", "copy_ref.c"): ("(uint8_t *)output + p->output_start", "(uint8_t *)output"),
    ("STRIDED_SLICE", "copy_ref.c"): ("(const uint8_t *)input + p->input_start", "(const uint8_t *)input"),
    ("SUB", "binary_s8_ref.c"): ("scaled(&p->a, a, SUM_SHIFT) - scaled(", "scaled(&p->a, a, SUM_SHIFT) + scaled("),
    ("MUL", "binary_s8_ref.c"): ("+ p->b.offset;", ";"),
    ("PRELU", "binary_s8_ref.c"): ("return a >= 0 ?", "return a > 1 ?"),
    ("SQUARED_DIFFERENCE", "binary_s8_ref.c"): ("#define SQUARE_SHIFT 7", "#define SQUARE_SHIFT 6"),
    ("EQUAL", "compare_s8_ref.c"): ("#define COMPARE_SHIFT 8", "#define COMPARE_SHIFT 7"),
    ("GREATER_EQUAL", "compare_s8_ref.c"): ("(value + in->offset)", "(value)"),
    ("SELECT_V2", "compare_s8_ref.c"): ("row[l * p->condition_strides[3]]", "row[0]"),
    ("REDUCE_MAX", "reduce_s8_ref.c"): ("int32_t largest = INT8_MIN;", "int32_t largest = 0;"),
    ("SUM", "reduce_s8_ref.c"): ("sum += row[l] + p->input_offset", "sum += row[l]"),
    ("RESIZE_NEAREST_NEIGHBOR", "gather_ref.c"): ("row + column_offsets[j]", "row + column_offsets[0]"),
    ("RESIZE_BILINEAR", "resize_bilinear_s8_ref.c"): ("sum > 0 ? 1 << 19 : -(1 << 19)", "1 << 19"),
    ("TRANSPOSE_CONV", "transpose_conv_s8_ref.c"): ("distance % stride == 0 &&", ""),
    ("BATCH_MATMUL", "batch_matmul_s8_ref.c"): ("+ p->b_offset", ""),
    ("ARG_MAX", "arg_max_s8_ref.c"): ("] > values[", "] >= values["),
    ("SVDF", "svdf_s8_ref.c"): ("i + 1 < p->memory", "i + 2 < p->memory"),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "lstm_s8_ref.c"): ("memcpy(hidden, before,", "memcpy(hidden, before - (p->steps - 1) * p->units,"),
    ("CONV_2D", "conv2d_s16_ref.c"): ("oc / filters_per_group * p->filter_c", "0 * (oc / filters_per_group)"),
    ("FULLY_CONNECTED", "fully_connected_s16_ref.c"): ("unit * p->depth", "0 * unit * p->depth"),
    ("DEPTHWISE_CONV_2D", "depthwise_conv2d_s16_ref.c"): ("int64_t sum = 0", "int64_t sum = 1000"),
    ("TRANSPOSE_CONV", "transpose_conv_s16_ref.c"): ("distance % stride == 0 &&", ""),
    ("BATCH_MATMUL", "batch_matmul_s16_ref.c"): ("row * p->a_strides[2]", "row * p->a_strides[3]"),
    ("AVERAGE_POOL_2D", "pool2d_s16_ref.c"): ("(sum - count / 2) / count", "sum / count"),
    ("MAX_POOL_2D", "pool2d_s16_ref.c"): ("int32_t largest = INT16_MIN", "int32_t largest = INT8_MIN"),
    ("ADD", "binary_s16_ref.c"): ("#define SUM_SHIFT 15", "#define SUM_SHIFT 14"),
    ("MUL", "binary_s16_ref.c"): ("to_output(p, a * b)", "to_output(p, a * (int16_t)(b + 1))"),
    ("SUM", "reduce_s16_ref.c"): ("k < p->reduced[2]", "k + 1 < p->reduced[2]"),
    ("SELECT_V2", "select_s16_ref.c"): ("row[l * p->condition_strides[3]]", "row[0]"),
    ("PAD", "pad_s16_ref.c"): ("position >= p->before[dimension]", "position > p->before[dimension]"),
    ("LEAKY_RELU", "slopes_s16_ref.c"): ("input[i] >= 0", "input[i] >= -20000"),
    ("LOGISTIC", "sigmoid_s16_ref.c"): ("+ half)", "+ half / 2)"),
    ("SOFTMAX", "softmax_s16_ref.c"): ("(inside & 127) + 64", "(inside & 127)"),
}


@pytest.mark.full
@pytest.mark.parametrize(("op", "file"), MUTATIONS, ids=[f"{op}-{file}" for op, file in MUTATIONS])
def test_a_changed_kernel_is_seen(op: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = MUTATIONS[op, file]
    shutil.copytree(firmware_dir() / "lib", tmp_path / "lib")
    source = tmp_path / "lib/nn/src" / file
    text = source.read_text()
    assert before in text
    source.write_text(text.replace(before, after, 1))
    for module in (batch, firmware_tree):
        monkeypatch.setattr(module, "firmware_dir", lambda: tmp_path)
    cases = all_cases()[op]
    expected = []
    for case in cases:
        model = compile_graph(ModelPackage(case.name, case.tflite), None)
        expected.append(run_sequence(model.graph, Cases(model, SEED).inputs(0, INPUTS)))
    folder = tmp_path / "batch"
    folder.mkdir()
    outputs = batch.run_on_host(batch.compile_cases(cases), folder, seed=SEED, inputs=INPUTS)
    assert any(not np.array_equal(got, wanted) for got, wanted in zip(outputs, expected, strict=True))
