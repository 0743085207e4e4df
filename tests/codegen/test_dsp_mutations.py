"""DSP kernels and their tables broken on purpose: the op cases on an emulated Cortex-M4 must show each of them.

A round breaks every kernel in one place, so that one build shows all of its mutants.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import batch
from tests.support.batch import compile_cases, run_on_board
from tests.support.op_cases import OpCase, all_cases
from tinyfleet.cases import Cases
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.kernels import choose_kernel
from tinyfleet_codegen.kernels.dsp import tables
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import run_layers

BOARD = "mps2_an386"
SEED = 11
INPUTS = 6

ROUNDS: tuple[dict[str, tuple[str, str]], ...] = (
    {
        "conv2d_s8_dsp.c": ("smlad r10, r6, r4, r10", "smlad r10, r6, r3, r10"),
        "conv2d_wide_s8_dsp.c": ("tyf_sxtb16_ror8(", "tyf_sxtb16("),
        "depthwise3x3_s8_dsp.c": ('"ldr r2, [r0], #2\\n"', '"ldr r2, [r0], #1\\n"'),
        "average_pool2d_s8_dsp.c": ("sum > 0 ? sum + count / 2 : sum - count / 2", "sum + count / 2"),
        "depthwise1d_s8_dsp.c": ('"smlad r5, r7, r8, r5\\n"', '"smlad r5, r7, r9, r5\\n"'),
        "depthwise_conv2d_s8_dsp.c": ("oy * win->stride_h - win->pad_h", "oy * win->stride_h"),
        "fully_connected_s8_dsp.c": ('"smlad r11, r6, r7, r11\\n"', '"smlad r11, r5, r7, r11\\n"'),
        "fully_connected_wide_s8_dsp.c": ("(p->depth + 3) / 4", "p->depth / 4"),
        "add_s8_dsp.c": ("table + 128", "table + 127"),
    },
    {
        "conv2d_s8_dsp.c": ("y = oy * win->stride_h - win->pad_h", "y = oy * win->stride_h"),
        "conv2d_wide_s8_dsp.c": ("p->output_c", "(p->output_c & ~1)"),
        "depthwise3x3_s8_dsp.c": ("w % 2 != 0", "0"),
        "average_pool2d_s8_dsp.c": ("y0 = larger(y, 0)", "y0 = y"),
        "depthwise1d_s8_dsp.c": ("if ((outputs & 1) != 0)", "if (0)"),
        "depthwise_conv2d_s8_dsp.c": ("win->kernel_w + 1) / 2", "win->kernel_w) / 2"),
        "fully_connected_s8_dsp.c": ("memcpy(to + 4 * blocks, last, (size_t)left);", ""),
        "fully_connected_wide_s8_dsp.c": ("input += p->depth;", ""),
        "add_s8_dsp.c": ("* (1 << 20)", "* (1 << 19)"),
    },
    {
        # Rounding of ties, which all share, and of the assembly's copies of it.
        "../include/tyf/nn/dsp.h": ("round + (doubled >> 31)", "round"),  # of add, depthwise_conv2d and the wide ones
        "conv2d_s8_dsp.c": ('"add r0, " round ", r0, lsl #7\\n"', '"mov r0, " round "\\n"'),
        "depthwise3x3_s8_dsp.c": ('"add r12, r3, " sum ", asr #31\\n"', '"mov r12, r3\\n"'),
        "depthwise1d_s8_dsp.c": ('"add r11, r9, r4, asr #31\\n"', '"mov r11, r9\\n"'),
        "fully_connected_s8_dsp.c": ('"add r5, r5, " sum ", asr #31\\n"', ""),
    },
    {
        # Of a convolution with the ADD after it.
        "conv2d_s8_dsp.c": ("t->residual += t->params->add.elements;", ""),
    },
)


PACKING: dict[str, tuple[str, Callable[..., Any] | int]] = {
    "conv2d": ("as_halves", lambda rows: tables.as_halves(-rows)),
    "depthwise1d": ("channel_table", lambda *args, together: tables.channel_table(*args, together=together)[::-1]),
    "depthwise3x3": ("_pair", lambda low, high: (low << 16) + (high & 0xFFFF)),
    "depthwise_conv2d": ("pack_taps", lambda weights: tables.pack_taps(weights[::-1])),
    "fully_connected": ("pack_rows", lambda weights, together: tables.pack_rows(np.roll(weights, 1, axis=0), together)),
    "add": ("LEFT_SHIFT", 19),
}
"""By module of the compiler: what is wrong in it. The wide kernels take the same tables."""


@cache
def expected_outputs(case: OpCase) -> Array:
    """The reference's outputs ``[INPUTS, ...]``, which test_ops.py holds against the oracle."""
    model = compile_graph(ModelPackage(case.name, case.tflite), None)
    inputs = Cases(model, SEED).inputs(0, INPUTS)
    return np.concatenate([run_layers(model.graph, inputs[i : i + 1])[-1] for i in range(INPUTS)])


@cache
def dsp_cases() -> tuple[tuple[str, OpCase], ...]:
    """Every op case that runs one DSP kernel, with that kernel's C file."""
    found = []
    for cases in all_cases().values():
        for case, model in zip(cases, compile_cases(cases, BOARD), strict=True):
            kernels = [k for k in (choose_kernel(model.graph, node, "dsp") for node in model.graph.nodes) if k is not None]
            if len(kernels) == 1:
                found.append((kernels[0].symbol.removeprefix("tyf_").replace("_clamped", "").replace("_add_", "_") + ".c", case))
    return tuple(found)


def files_that_differ(folder: Path) -> set[str]:
    """Run the cases on the board; the kernel files of which at least one case differs from what it should be."""
    folder.mkdir()
    models = compile_cases([case for _, case in dsp_cases()], BOARD)
    outputs = run_on_board(models, folder, seed=SEED, inputs=INPUTS, board=BOARD)
    return {file for (file, case), got in zip(dsp_cases(), outputs, strict=True) if not np.array_equal(got, expected_outputs(case))}


@pytest.mark.parametrize("mutations", ROUNDS)
def test_a_changed_kernel_is_seen(mutations: dict[str, tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(firmware_dir() / "lib", tmp_path / "lib")
    for file, (before, after) in mutations.items():
        source = tmp_path / "lib/nn/src" / file
        text = source.read_text()
        assert before in text, file
        source.write_text(text.replace(before, after))
    for module in (batch, firmware_tree):
        monkeypatch.setattr(module, "firmware_dir", lambda: tmp_path)
    assert files_that_differ(tmp_path / "batch") >= {file for file in mutations if "/" not in file}


def test_wrong_tables_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, (name, mutant) in PACKING.items():
        monkeypatch.setattr(f"tinyfleet_codegen.kernels.dsp.{module}.{name}", mutant)
    assert files_that_differ(tmp_path / "batch") >= {f"{module}_s8_dsp.c" for module in PACKING}
