"""Kernels for ARMv6-M: awkward shapes on the board, limits that C and the compiler both state, and broken kernels."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.support import batch
from tests.support.op_cases import OpCase, all_cases
from tests.support.op_cases.conv2d import conv_case
from tests.support.op_cases.depthwise_conv2d import depthwise_case
from tests.support.op_cases.fully_connected import dense_case
from tinyfleet.cases import Cases
from tinyfleet.oracle import open_oracle
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.kernels.v6m import KERNELS, conv2d, depthwise_conv2d, requantization, sums
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.quant import requantize

BOARD = "mps2_an385_v6m"
SEED = 20261126
INPUTS = 6
MUTANT_CASES = 12
RELU = {"activation": 1, "zero_points": (-7, -128)}

CASES = [
    conv_case("v6m_conv_1x1_relu", kernel=(1, 1), size=(5, 5, 64), filters=64, scales=(0.05, 0.002, 0.04), **RELU),
    conv_case("v6m_conv_1x1_odd", kernel=(1, 1), size=(3, 7, 13), filters=19, **RELU),
    conv_case("v6m_conv_1x1_stride2", kernel=(1, 1), size=(9, 7, 6), filters=9, stride=(2, 2), **RELU),
    conv_case("v6m_conv_three_pixels", kernel=(1, 1), size=(1, 3, 8), filters=8, **RELU),
    conv_case("v6m_conv_3x3_relu", size=(6, 9, 3), filters=17, **RELU),
    conv_case("v6m_conv_3x3_stride2_valid", size=(11, 10, 5), filters=8, stride=(2, 2), same=False, **RELU),
    conv_case("v6m_conv_10x4", size=(49, 10, 1), filters=11, kernel=(10, 4), stride=(2, 2), **RELU),
    conv_case("v6m_conv_dilated", size=(9, 11, 2), filters=3, dilation=(2, 3), **RELU),
    conv_case("v6m_conv_large_weights", size=(5, 5, 4), filters=6, extreme=True, scales=(0.05, 0.002, 0.1), **RELU),
    *(
        depthwise_case(
            f"v6m_depthwise_s{stride}_{h}x{w}_{'same' if same else 'valid'}", size=(h, w, 5), stride=(stride, stride), same=same, **RELU
        )
        for stride in (1, 2)
        for h, w in ((3, 3), (4, 4), (5, 6), (6, 5), (7, 8), (3, 9), (9, 4))
        for same in (True, False)
    ),
    *(
        depthwise_case(f"v6m_depthwise_s{stride}_1x{w}", size=(1, w, 3), stride=(stride, stride), **RELU)
        for stride in (1, 2)
        for w in (1, 2)
    ),
    depthwise_case("v6m_depthwise_dead", size=(5, 5, 8), dead=(0, 7), **RELU),
    depthwise_case("v6m_depthwise_relu6", size=(5, 6, 4), activation=3, zero_points=(2, -128)),
    depthwise_case("v6m_depthwise_s2_relu6", size=(5, 6, 4), stride=(2, 2), activation=3, zero_points=(2, -128)),
    depthwise_case("v6m_depthwise_15x1", size=(15, 1, 7), kernel=(15, 1), same=False),
    depthwise_case("v6m_depthwise_4x3_dilated", size=(9, 8, 6), kernel=(4, 3), dilation=(2, 1)),
    conv_case("v6m_conv_whole_image", size=(3, 2, 5), kernel=(3, 2), filters=9, same=False),
    conv_case("v6m_conv_vector", size=(1, 1, 33), kernel=(1, 1), filters=17, **RELU),
    dense_case("v6m_dense_ad", shape=(1, 640), depth=640, units=24, scales=(0.05, 0.002, 0.04), **RELU),
    dense_case("v6m_dense_odd", shape=(1, 67), depth=67, units=13),
    dense_case("v6m_dense_per_channel", shape=(1, 130), depth=130, units=21, per_channel=True, scales=(0.05, 0.002, 0.04)),
    dense_case("v6m_dense_rows", shape=(1, 3, 9), depth=9, units=10, per_channel=True, **RELU),
    dense_case("v6m_dense_rows_shared", shape=(1, 3, 9), depth=9, units=10),
    conv_case("v6m_conv_relu6_offset", size=(5, 5, 4), filters=6, activation=3, zero_points=(3, -128)),
]


@cache
def compiled(case: OpCase) -> CompiledModel:
    return batch.compile_cases([case], BOARD)[0]


def kernel_of(case: OpCase) -> str:
    return compiled(case).layers[0].kernel


@cache
def expected_outputs(case: OpCase) -> Array:
    model = compile_graph(ModelPackage(case.name, case.tflite), None)
    return open_oracle(case.tflite, case.name).run(Cases(model, SEED).inputs(0, INPUTS))


def different_cases(cases: list[OpCase], folder: Path) -> list[str]:
    outputs = batch.run_on_board([compiled(case) for case in cases], folder, seed=SEED, inputs=INPUTS, board=BOARD)
    return [case.name for case, got in zip(cases, outputs, strict=True) if not np.array_equal(got, expected_outputs(case))]


def test_awkward_shapes_on_the_board_equal_the_oracle(tmp_path: Path) -> None:
    assert different_cases(CASES, tmp_path) == []


def test_every_kernel_is_reached_by_three_cases() -> None:
    reached = [kernel_of(case) for cases in all_cases().values() for case in cases] + [kernel_of(case) for case in CASES]
    assert {kernel.symbol: reached.count(kernel.symbol) >= 3 for kernel in KERNELS} == {kernel.symbol: True for kernel in KERNELS}


MUTATIONS = [
    # (kernel, file, before, after): the sums, the lanes, the scaling, the two clamps, the order of pixels and taps.
    ("tyf_conv2d_s8_v6m", "src/conv2d_block_v6m.S", "adcs r7, r5", "adds r7, r7, r5"),
    ("tyf_conv2d_s8_v6m", "src/conv2d_block_v6m.S", "#define CHAIN 8", "#define CHAIN 7"),
    ("tyf_conv2d_s8_v6m", "src/conv2d_block_v6m.S", "bhs 40", "bgt 40"),
    ("tyf_conv2d_s8_v6m", "include/tyf/nn/v6m.inc", "TYF_V6M_LOW_BITS 12", "TYF_V6M_LOW_BITS 13"),
    ("tyf_conv2d_s8_v6m", "src/conv2d_block_v6m.S", "add r10, r6", "add r10, r8"),
    ("tyf_conv2d_s8_v6m", "src/conv2d_s8_v6m.c", "(size_t)(left * p->output_c)", "(size_t)p->output_c"),
    ("tyf_conv2d_s8_v6m", "src/conv2d_s8_v6m.c", "(input - kernel + 1)", "(input - kernel + 2)"),
    ("tyf_conv2d_s8_v6m", "src/conv2d_s8_v6m.c", "p->activation_min, p->activation_max)", "INT8_MIN, INT8_MAX)"),
    ("tyf_depthwise_conv2d_3x3_s8_v6m", "src/depthwise_3x3_v6m.S", "adcs r6, r3", "adds r6, r6, r3"),
    ("tyf_depthwise_conv2d_3x3_s8_v6m", "src/depthwise_3x3_v6m.S", "mov r12, r10", "mov r12, r12"),
    ("tyf_depthwise_conv2d_3x3_s8_v6m", "src/depthwise_3x3_v6m.S", "ldr r4, [r5, #OUTPUT_ROW_BYTES]", "ldr r4, [r5, #ROW_BYTES]"),
    ("tyf_depthwise_conv2d_3x3_s8_v6m", "src/depthwise_conv2d_s8_v6m.c", "work.pad_h = win->pad_w", "work.pad_h = 0"),
    ("tyf_depthwise_conv2d_3x3_s2_s8_v6m", "src/depthwise_3x3_v6m.S", "adds r2, #12", "adds r2, #24"),
    ("tyf_depthwise_conv2d_3x3_s2_s8_v6m", "src/depthwise_3x3_v6m.S", "cmp r7, #3", "cmp r7, #4"),
    ("tyf_depthwise_conv2d_s8_v6m", "src/depthwise_taps_v6m.S", "r3, r4, r9, r7", "r3, r4, r10, r7"),
    ("tyf_depthwise_conv2d_s8_v6m", "src/depthwise_conv2d_s8_v6m.c", "x0 += win->stride_w", "x0++"),
    ("tyf_fully_connected_s8_v6m", "src/fully_connected_block_v6m.S", "add r5, r9", "adds r5, #0"),
    ("tyf_fully_connected_shared_s8_v6m", "src/fully_connected_block_v6m.S", "lsls r2, r2, #7", "lsls r2, r2, #6"),
    ("tyf_fully_connected_shared_s8_v6m", "src/fully_connected_block_v6m.S", "adcs r6, \\pair", "adds r6, r6, \\pair"),
    ("tyf_sum_s8_v6m", "src/sum_s8_v6m.S", "blt 3f", "bls 3f"),
    ("tyf_sum_s8_v6m", "src/sum_s8_v6m.S", "add r0, r8", "add r0, r9"),
    ("tyf_conv2d_knee_s8_v6m", "src/conv2d_block_v6m.S", "blo 50", "bhs 50"),
    ("tyf_conv2d_knee_s8_v6m", "src/conv2d_block_v6m.S", "scale \\value, r1, r2, r12, r0", "scale \\value, r1, r2, r9, r0"),
]


@pytest.mark.parametrize(("kernel", "file", "before", "after"), MUTATIONS)
def test_a_broken_kernel_is_seen(kernel: str, file: str, before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [case for group in (CASES, *all_cases().values()) for case in group if kernel_of(case) == kernel][:MUTANT_CASES]
    shutil.copytree(firmware_tree.firmware_dir() / "lib", tmp_path / "lib")
    shutil.copytree(firmware_tree.firmware_dir() / "boards", tmp_path / "boards")
    source = tmp_path / "lib/nn" / file
    text = source.read_text()
    assert before in text
    source.write_text(text.replace(before, after))
    for module in (batch, firmware_tree):
        monkeypatch.setattr(module, "firmware_dir", lambda: tmp_path)
    (tmp_path / "run").mkdir()
    assert different_cases(cases, tmp_path / "run")


def test_limits_and_scratch_sizes_equal_those_in_c(tmp_path: Path) -> None:
    nn = firmware_tree.firmware_dir() / "lib/nn"
    assert f"#define CHAIN {conv2d.CHAIN}\n" in (nn / "src/conv2d_block_v6m.S").read_text()
    assert f"#define SHIFT {sums.SHIFT}\n" in (nn / "src/sum_s8_v6m.S").read_text()
    assert f"#define TYF_V6M_LOW_BITS {requantization.LOW_BITS}\n" in (nn / "include/tyf/nn/v6m.inc").read_text()
    expected = {"TYF_DEPTHWISE_V6M_MAX_TAPS": depthwise_conv2d.MAX_TAPS}
    for sizes in ((1, 1, 1), (27, 3, 8), (40, 1, 64), (576, 64, 10)):
        expected[f"TYF_CONV2D_V6M_SCRATCH_BYTES{sizes}"] = conv2d.conv2d_scratch_bytes(*sizes)
    for width in (1, 2, 5, 48):
        expected[f"TYF_DEPTHWISE_3X3_V6M_SCRATCH_BYTES({width})"] = depthwise_conv2d.depthwise_3x3_scratch_bytes(width)
    for shape in ((4, 4, 4), (5, 4, 4), (4, 5, 5), (6, 4, 2)):
        expected[f"TYF_DEPTHWISE_3X3_V6M_IS_TURNED{shape}"] = depthwise_conv2d.is_turned(*shape)
    lines = "".join(f'printf("%d ", {expression});' for expression in expected)
    (tmp_path / "sizes.c").write_text(f'#include <stdio.h>\n#include "tyf/nn/kernels_v6m.h"\nint main(void) {{ {lines} }}\n')
    subprocess.run([*find_host_cc(), f"-I{nn / 'include'}", "sizes.c", "-o", "sizes"], cwd=tmp_path, check=True, timeout=300)
    printed = subprocess.run([tmp_path / "sizes"], capture_output=True, text=True, check=True, timeout=300).stdout
    assert [int(word) for word in printed.split()] == list(expected.values())


@pytest.mark.parametrize("zero_point", [-128, -5, 0, 14, 127])
def test_scaling_equals_the_oracles_rounding_on_every_sum_that_matters(zero_point: int) -> None:
    rng = np.random.default_rng(SEED + zero_point)
    found = 0
    for shift in range(-12, 0):
        for multiplier in (2**30, 2**31 - 1, int(rng.integers(2**30, 2**31))):
            low, high = -int(rng.integers(1, 2**20)), int(rng.integers(2**20))
            scaling = requantization.find_scaling(multiplier, shift, zero_point, low, high)
            if scaling is None:
                continue
            found += 1
            # Around zero, around every tie, at the ends and anywhere.
            ties = (np.arange(-260, 260) * 2 + 1) * 2 ** (-shift - 1) * 2**31 // multiplier
            sums = np.concatenate([np.arange(-200, 200), *(ties + d for d in range(-3, 4)), rng.integers(low, high + 1, 5000), [low, high]])
            sums = sums[(sums >= low) & (sums <= high)]
            expected = np.clip(requantize(sums, multiplier, shift) + zero_point, -128, 127)
            np.testing.assert_array_equal(scaling.apply(sums), expected)
    assert found >= 30, f"{found} of 36 have a scaling"
