"""What the DSP kernels and the compiler both state must be the same: sizes, limits, which files belong to which core."""

from __future__ import annotations

import importlib.util
import subprocess
from collections import Counter
from pathlib import Path

from tests.support.batch import compile_cases
from tests.support.op_cases import all_cases
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.kernels import KERNELS, choose_kernel
from tinyfleet_codegen.kernels.dsp.conv2d import conv2d_halves_scratch_bytes, conv2d_scratch_bytes
from tinyfleet_codegen.kernels.dsp.depthwise1d import depthwise1d_scratch_bytes
from tinyfleet_codegen.kernels.dsp.depthwise3x3 import depthwise3x3_scratch_bytes
from tinyfleet_codegen.kernels.dsp.depthwise_conv2d import MAX_TAPS
from tinyfleet_codegen.kernels.dsp.fully_connected import fully_connected_scratch_bytes

DEPTHS = (1, 2, 3, 4, 5, 27, 40, 63, 64, 65, 576, 640)
CHANNELS = (1, 2, 3, 4, 16)
SIZES = ((2, 2), (3, 7), (25, 5), (48, 48))


def test_every_kernel_is_reached_by_op_cases() -> None:
    reached: Counter[str] = Counter()
    for cases in all_cases().values():
        for model in compile_cases(cases, "mps2_an386"):
            reached.update(kernel.symbol for node in model.graph.nodes if (kernel := choose_kernel(model.graph, node, "dsp")) is not None)
    assert {kernel.symbol for kernel in KERNELS["dsp"] if reached[kernel.symbol] < 3} == set()


def test_scratch_sizes_and_limits_equal_the_header(tmp_path: Path) -> None:
    lines = "".join(f'printf("%d ", TYF_DEPTHWISE3X3_DSP_SCRATCH_BYTES({h}, {w}, {stride}));' for h, w in SIZES for stride in (1, 2))
    lines += "".join(f'printf("%d ", TYF_DEPTHWISE1D_DSP_SCRATCH_BYTES({n}, {taps}));' for n, taps in SIZES)
    lines += "".join(f'printf("%d %d ", TYF_CONV2D_DSP_SCRATCH_BYTES({d}), TYF_FULLY_CONNECTED_DSP_SCRATCH_BYTES({d}));' for d in DEPTHS)
    lines += "".join(f'printf("%d ", TYF_CONV2D_HALVES_DSP_SCRATCH_BYTES({d}, {c}));' for d in DEPTHS for c in CHANNELS)
    source = (
        f'#include <stdio.h>\n#include "tyf/nn/kernels_dsp.h"\nint main(void) {{ {lines} printf("%d", TYF_DEPTHWISE_DSP_MAX_TAPS); }}\n'
    )
    (tmp_path / "sizes.c").write_text(source)
    include = f"-I{firmware_tree.firmware_dir() / 'lib/nn/include'}"
    subprocess.run([*find_host_cc(), include, "sizes.c", "-o", "sizes"], cwd=tmp_path, check=True, timeout=300)
    printed = subprocess.run([tmp_path / "sizes"], capture_output=True, text=True, check=True, timeout=300).stdout
    planes = [depthwise3x3_scratch_bytes(h, w, stride) for h, w in SIZES for stride in (1, 2)]
    planes += [depthwise1d_scratch_bytes(n, taps) for n, taps in SIZES]
    expected = [size for d in DEPTHS for size in (conv2d_scratch_bytes(d), fully_connected_scratch_bytes(d))]
    expected += [conv2d_halves_scratch_bytes(d, c) for d in DEPTHS for c in CHANNELS]
    assert [int(word) for word in printed.split()] == [*planes, *expected, MAX_TAPS]


def test_firmware_build_and_compiler_know_the_same_cpu_classes() -> None:
    # The builder runs inside PlatformIO, where our packages may be absent, so it holds a list of its own.
    path = firmware_tree.firmware_dir() / "platform/tinyfleet/builder/board.py"
    spec = importlib.util.spec_from_file_location("builder_board", path)
    assert spec is not None and spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    assert (builder.CPU_CLASSES, builder.INCLUDED_CLASS) == (firmware_tree.CPU_CLASSES, firmware_tree.INCLUDED_CLASS)
