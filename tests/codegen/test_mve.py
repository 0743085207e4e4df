"""Helium kernels on an emulated Cortex-M55: cases at awkward shapes for each of them, and each broken on purpose.

The op cases of all other tests run on that board as well; those here aim at what only these kernels have: groups of four
pixels and filters, blocks of 16, overlapping last groups.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.support import batch
from tests.support.batch import compile_cases, run_on_board
from tests.support.binary_case import binary_case
from tests.support.op_cases import OpCase
from tests.support.op_cases.conv2d import conv_case
from tests.support.op_cases.depthwise_conv2d import depthwise_case
from tests.support.op_cases.fully_connected import dense_case
from tests.support.pool_case import pool_case
from tinyfleet.cases import Cases
from tinyfleet.oracle import open_oracle
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.kernels import dsp, mve
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.mve import depthwise_line
from tinyfleet_codegen.kernels.mve.conv2d import conv2d_scratch_bytes
from tinyfleet_codegen.kernels.mve.conv2d_rows import conv2d_rows_scratch_bytes
from tinyfleet_codegen.kernels.mve.depthwise3x3 import LINE_LIMIT, depthwise3x3_scratch_bytes, line_bytes
from tinyfleet_codegen.kernels.mve.fully_connected import fully_connected_scratch_bytes
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.package import ModelPackage

BOARD = "mps3_an547"
SEED = 20261126
INPUTS = 6
RELU = (-3, -128)
"""Zero points of input and output under which sums below zero are clamped away."""
PLAIN = (5, -9)
PREFIXES = {
    "conv2d_rows": "mve_conv_rows",
    "conv2d": "mve_conv",
    "depthwise": "mve_dw",
    "fully": "mve_dense",
    "add": "mve_add",
    "pool2d": "mve_pool",
}
"""How the name of a kernel's file begins -> how the names of its cases begin."""
SYMBOLS = {kernel.symbol for kernel in mve.KERNELS} - {kernel.symbol for kernel in dsp.KERNELS}
ROUNDS: tuple[dict[str, tuple[str, str]], ...] = (
    {
        "../include/tyf/nn/mve.inc": ("vqdmlah.s32 q1, \\second, r12", "nop"),
        "depthwise_planes_mve.S": ("vqdmlah.s32 q5, q7, r2", "nop"),
        "fully_connected_rows_mve.S": ("vqdmlah.s32 q5, q7, r0", "nop"),
        "add_elements_mve.S": ("vqdmlah.s32 q1, q0, r12", "nop"),
        "pool2d_s8_mve.c": ("half = count / 2", "half = 0"),
    },
    {
        "conv2d_tile_mve.S": ("add r9, #128", "add r9, #112"),
        "conv2d_rows_mve.S": ("column r4, r12, q2, q3", "column r4, r12, q2, q2"),
        "conv2d_columns_mve.S": ("vstrbt.8 q2, [r12]", "vstrbt.8 q1, [r12]"),
        "depthwise_planes_mve.S": ("    vshl.i32 q3, q2, #8", "    vmov q3, q2"),
        "fully_connected_rows_mve.S": ("subs r7, #1\n    bne 2b", "subs r7, #1"),
        "add_elements_mve.S": ("vadd.i32 q0, q0, q2", "vsub.i32 q0, q0, q2"),
        "pool2d_s8_mve.c": ("vdupq_n_s8(INT8_MIN)", "vdupq_n_s8(0)"),
    },
    {
        "conv2d_rows_s8_mve.c": ("if (y >= next)", "if (y > next)"),
        "conv2d_s8_mve.c": ("smaller(win->input_w - x, win->kernel_w) - left", "win->kernel_w - left"),
        "depthwise_s8_mve.c": ("pair_read - back * stride * 4 * line", "pair_read"),
        "fully_connected_s8_mve.c": ("input += p->depth;", ""),
    },
    {
        "conv2d_s8_mve.c": ("step = win->stride_w * p->input_c", "step = p->input_c"),
        "depthwise_s8_mve.c": ("first + i / 2 + 4 * (i % 2)", "first + i"),
        "conv2d_rows_mve.S": ("lsl #(3 + \\stride)", "lsl #4"),
        "conv2d_columns_mve.S": ("    add r10, r6\n    le lr, 2b", "    add r10, r5\n    le lr, 2b"),
    },
    {"../include/tyf/nn/mve.h": ("vmaxq_s8(", "vminq_s8(")},
)
"""One change a file; files of different ops are changed together, as each op's cases tell."""


def cases() -> Iterator[OpCase]:
    """Sizes that leave a remainder everywhere, for each variant of each kernel."""
    for label, zero_points in (("plain", PLAIN), ("relu", RELU)):
        kwargs = {"zero_points": zero_points, "scales": (0.05, 0.01, 0.3)}
        pointwise = {**kwargs, "kernel": (1, 1)}
        yield conv_case(f"mve_conv_1x1_{label}", size=(5, 5, 16), filters=8, **pointwise)
        yield conv_case(f"mve_conv_1x1_{label}_remainders", size=(7, 5, 23), filters=11, **pointwise)
        yield conv_case(f"mve_conv_1x1_{label}_narrow_input", size=(3, 3, 4), filters=4, **pointwise)
        yield conv_case(f"mve_conv_1x1_{label}_three_pixels", size=(3, 1, 32), filters=5, **pointwise)
        yield conv_case(f"mve_conv_1x1_{label}_stride2", size=(9, 13, 20), filters=12, stride=(2, 2), **pointwise)
        yield conv_case(f"mve_conv_1x1_{label}_stride2_narrow", size=(5, 5, 48), filters=6, stride=(2, 2), **pointwise)
        yield conv_case(f"mve_conv_1x1_{label}_deep", size=(5, 3, 129), filters=4, **pointwise)
        yield conv_case(f"mve_conv_1x1_{label}_deeper", size=(2, 3, 272), filters=9, **pointwise)
        yield conv_case(f"mve_conv_1x1_{label}_128", size=(3, 3, 128), filters=4, **pointwise)
        yield conv_case(f"mve_conv_3x3_{label}_first", size=(9, 7, 3), filters=8, stride=(2, 2), **kwargs)
        yield conv_case(f"mve_conv_3x3_{label}_deep_stride2", size=(9, 11, 20), filters=5, stride=(2, 2), **kwargs)
        yield conv_case(f"mve_conv_5x3_{label}_deep", size=(8, 7, 17), filters=7, kernel=(5, 3), **kwargs)
        yield conv_case(f"mve_conv_10x4_{label}", size=(21, 10, 1), filters=8, kernel=(10, 4), stride=(2, 2), **kwargs)
        for stride in (1, 2):
            for size, filters in (((7, 10, 16), 8), ((5, 7, 31), 4), ((4, 13, 48), 12), ((3, 9, 128), 4)):
                name = f"mve_conv_rows_{label}_s{stride}_{size[0]}x{size[1]}x{size[2]}"
                yield conv_case(name, size=size, filters=filters, stride=(stride, stride), **kwargs)
            name = f"mve_conv_rows_{label}_s{stride}_valid"
            yield conv_case(name, size=(9, 12, 16), filters=4, stride=(stride, stride), same=False, **kwargs)
        kwargs["scales"] = (0.05, 0.02, 0.1)
        for stride in (1, 2):
            for size in ((5, 25, 8), (25, 5, 4), (7, 6, 12), (4, 4, 8), (9, 10, 4), (3, 3, 8), (11, 3, 4), (2, 17, 4)):
                name = f"mve_dw_s{stride}_{label}_{size[0]}x{size[1]}x{size[2]}"
                yield depthwise_case(name, size=size, stride=(stride, stride), **kwargs)
            yield depthwise_case(f"mve_dw_s{stride}_{label}_valid", size=(10, 11, 4), stride=(stride, stride), same=False, **kwargs)
        for size, kernel in (((30, 1, 8), (3, 1)), ((24, 1, 4), (10, 1)), ((1, 9, 8), (1, 5)), ((5, 17, 4), (13, 1)), ((15, 3, 4), (1, 2))):
            name = f"mve_dw_line_{label}_{size[0]}x{size[1]}x{size[2]}"
            yield depthwise_case(name, size=size, kernel=kernel, same=kernel != (10, 1), **kwargs)
        kwargs["scales"] = (0.05, 0.02, 0.2)
        for depth, units in ((16, 8), (128, 3), (129, 9), (37, 17), (400, 12)):
            yield dense_case(f"mve_dense_{label}_{depth}x{units}", shape=(1, depth), depth=depth, units=units, per_channel=True, **kwargs)
        yield dense_case(f"mve_dense_{label}_rows", shape=(1, 3, 20), depth=20, units=5, **kwargs)
        for count in (16, 19, 32, 3):
            shape = (1, 1, 1, count)
            yield binary_case(f"mve_add_{label}_{count}", "ADD", shape, shape, zero_points=(7, -5, zero_points[1]))
    for op, kind in (("AVERAGE_POOL_2D", "average"), ("MAX_POOL_2D", "max")):
        for channels in (8, 16, 21):
            yield pool_case(f"mve_pool_{kind}_{channels}", op, size=(7, 6, channels), kernel=(3, 2), same=True)
        yield pool_case(f"mve_pool_{kind}_255", op, size=(17, 15, 4), kernel=(17, 15), stride=(1, 1), zero_point=-128)
    yield conv_case("mve_conv_1x1_relu6", size=(5, 5, 16), kernel=(1, 1), activation=3, scales=(0.05, 0.01, 0.1))
    yield conv_case("mve_conv_1x1_ties", size=(6, 6, 16), kernel=(1, 1), per_channel=False, scales=(0.5, 0.25, 32.0), bias=False)
    yield conv_case("mve_conv_3x3_ties", size=(6, 6, 16), per_channel=False, scales=(0.5, 0.25, 64.0), zero_points=(0, 0), bias=False)
    ties = {"scales": (0.5, 0.5, 16.0), "bias": False, "zero_points": (0, 0)}
    yield dense_case("mve_dense_ties", shape=(1, 7, 16), depth=16, units=16, **ties)
    square = (1, 16, 16, 1)
    yield binary_case("mve_add_ties", "ADD", square, square, scales=(0.5, 0.5, 1.0), zero_points=(0, 0, 0))
    yield conv_case("mve_conv_1x1_dead", size=(5, 5, 16), filters=6, kernel=(1, 1), dead=(0, 5), zero_points=(3, 90))
    yield depthwise_case("mve_dw_relu6", size=(6, 7, 4), activation=3, scales=(0.05, 0.02, 0.1))
    yield depthwise_case("mve_dw_ties", size=(6, 7, 4), per_channel=False, scales=(0.5, 0.25, 8.0), bias=False)
    yield depthwise_case("mve_dw_s2_ties", size=(6, 7, 4), stride=(2, 2), per_channel=False, scales=(0.5, 0.25, 8.0), bias=False)
    yield depthwise_case("mve_dw_dead", size=(6, 7, 8), dead=(0, 5), zero_points=(3, 90))


CASES = list(cases())


@cache
def expected_outputs(case: OpCase) -> Array:
    """The oracle's outputs ``[INPUTS, ...]``."""
    model = compile_graph(ModelPackage(case.name, case.tflite), None)
    return open_oracle(case.tflite, case.name).run(Cases(model, SEED).inputs(0, INPUTS))


def different_cases(folder: Path, selected: list[OpCase]) -> list[str]:
    """Run cases on the board; the names of those whose outputs are not the oracle's."""
    outputs = run_on_board(compile_cases(selected, BOARD), folder, seed=SEED, inputs=INPUTS, board=BOARD)
    return [c.name for c, got in zip(selected, outputs, strict=True) if not np.array_equal(got, expected_outputs(c))]


def keep_tensors_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No output lies over its input: some end where the arena does, so that writes behind them are seen."""
    for kernel in mve.KERNELS:
        monkeypatch.setattr(type(kernel), "output_overlap", Kernel.output_overlap)


def test_every_kernel_has_three_cases() -> None:
    reached = Counter(model.layers[-1].kernel for model in compile_cases(CASES, BOARD))
    assert {symbol for symbol in SYMBOLS if reached[symbol] < 3} == set()
    assert set(reached) <= SYMBOLS


@pytest.mark.parametrize("apart", [False, True])
def test_cases_equal_the_oracle(apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if apart:
        keep_tensors_apart(monkeypatch)
    assert different_cases(tmp_path, CASES) == []


def change_kernels(changes: dict[str, tuple[str, str]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the batches be compiled from changed copies of the kernels."""
    shutil.copytree(firmware_dir() / "lib", folder / "lib")
    for file, (before, after) in changes.items():
        source = folder / "lib/nn/src" / file
        text = source.read_text()
        assert before in text, (file, before)
        source.write_text(text.replace(before, after))
    for module in (batch, firmware_tree):
        monkeypatch.setattr(module, "firmware_dir", lambda: folder)
    (folder / "run").mkdir()


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("fully_connected_rows_mve.S", "    vpst\n    vstrbt.16 q5, [r5], #8", "    vstrb.16 q5, [r5], #8"),
        ("conv2d_tile_mve.S", "movlt r6, r0", "movlt r6, #4"),
        ("conv2d_rows_mve.S", "movlt r6, r0", "movlt r6, #4"),
        ("depthwise_planes_mve.S", "    vpst\n    vstrbt.16 q7, [r3, q6]", "    vstrb.16 q7, [r3, q6]"),
    ],
    ids=["dense", "conv2d", "rows", "depthwise"],
)
def test_a_write_outside_is_seen(file: str, before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The bytes of the output stay right.
    keep_tensors_apart(monkeypatch)
    change_kernels({file: (before, after)}, tmp_path, monkeypatch)
    with pytest.raises(AssertionError, match="writes outside of its arena"):
        different_cases(tmp_path / "run", CASES)


@pytest.mark.parametrize("changes", ROUNDS)
def test_a_changed_kernel_is_seen(changes: dict[str, tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change_kernels(changes, tmp_path, monkeypatch)
    seen = different_cases(tmp_path / "run", CASES)
    for file in changes:
        prefix = next((prefix for start, prefix in PREFIXES.items() if file.startswith(start)), "mve")
        assert [name for name in seen if name.startswith(prefix)], (file, seen)


def test_sizes_equal_the_header(tmp_path: Path) -> None:
    depths, filters, outputs = (1, 16, 27, 144, 640), (1, 4, 10), (1, 3, 4, 25, 48)
    lines = "".join(f'printf("%d ", TYF_CONV2D_MVE_SCRATCH_BYTES({d}, {n}));' for d in depths for n in filters)
    lines += "".join(
        f'printf("%d %d ", TYF_DEPTHWISE3X3_MVE_LINE_BYTES({u}, {s}), TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES({u}, {v}, {s}));'
        for u in outputs
        for v in outputs
        for s in (1, 2)
    )
    lines += "".join(
        f'printf("%d %d ", TYF_DEPTHWISE_LINE_MVE_LINE_BYTES({u}), TYF_DEPTHWISE_LINE_MVE_SCRATCH_BYTES({u}, {v}));'
        for u in outputs
        for v in outputs
    )
    lines += "".join(f'printf("%d ", TYF_CONV2D_ROWS_MVE_SCRATCH_BYTES({d}, {u}, {s}));' for d in depths for u in outputs for s in (1, 2))
    lines += "".join(f'printf("%d ", TYF_FULLY_CONNECTED_MVE_SCRATCH_BYTES({d}));' for d in depths)
    lines += 'printf("%d %d", TYF_DEPTHWISE3X3_MVE_LINE_LIMIT, TYF_DEPTHWISE_LINE_MVE_TAPS);'
    (tmp_path / "sizes.c").write_text(f'#include <stdio.h>\n#include "tyf/nn/kernels_mve.h"\nint main(void) {{ {lines} }}\n')
    subprocess.run(
        [*find_host_cc(), f"-I{firmware_dir() / 'lib/nn/include'}", "sizes.c", "-o", "sizes"], cwd=tmp_path, check=True, timeout=300
    )
    printed = subprocess.run([tmp_path / "sizes"], capture_output=True, text=True, check=True, timeout=300).stdout
    expected = [conv2d_scratch_bytes(d, n) for d in depths for n in filters]
    for u in outputs:
        for v in outputs:
            for s in (1, 2):
                expected += [line_bytes(u, s), depthwise3x3_scratch_bytes(u, v, s)]
    for u in outputs:
        for v in outputs:
            expected += [depthwise_line.line_bytes(u), depthwise_line.depthwise_line_scratch_bytes(u, v)]
    expected += [conv2d_rows_scratch_bytes(d, u, s) for d in depths for u in outputs for s in (1, 2)]
    expected += [fully_connected_scratch_bytes(d) for d in depths]
    assert [int(word) for word in printed.split()] == [*expected, LINE_LIMIT, depthwise_line.MAX_TAPS]
