"""A board that is too small: what is largest and what would make the model fit."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.support import standins
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.emit.report import report_dict
from tinyfleet_codegen.errors import DoesNotFit
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.fitting import find_peak
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target

TARGET = replace(load_target("mps2_an385"), cpu_class=HOST_CLASS)
"""With the portable kernels, so that sizes stay when a faster kernel wants other scratch memory."""


def test_the_peak_is_the_step_that_fills_the_arena() -> None:
    model = compile_graph(ModelPackage("ic", standins.ic()), TARGET)
    peak = find_peak(model)
    # The first residual block: its input, and two more of the same size, one over the other but for a row and a pixel.
    assert (peak.step, peak.used_bytes) == (2, model.arena_bytes)
    assert [count for _, count in peak.places] == [16384, 16384, 16384]
    assert report_dict(model)["peak"]["text"] == peak.text


def test_too_little_ram_names_the_peak_a_smaller_input_and_larger_boards() -> None:
    small = replace(TARGET, board="small", ram_bytes=TARGET.stack_bytes + 12_000)
    with pytest.raises(DoesNotFit, match=r"the arena needs 18944 bytes, board small has 12000 .* op 4 \(STREAM\) holds 18944:") as caught:
        compile_graph(ModelPackage("ic", standins.ic()), small)
    assert caught.value.hint is not None
    assert "an input of about 25 x 25 instead of 32 x 32" in caught.value.hint
    assert "to 63%" in caught.value.hint and re.search(r"a larger board: \w+, \w+", caught.value.hint)


def test_a_model_that_just_fits_is_taken() -> None:
    need = compile_graph(ModelPackage("ad", standins.ad()), TARGET).arena_bytes
    just = replace(TARGET, ram_bytes=TARGET.stack_bytes + need)
    assert compile_graph(ModelPackage("ad", standins.ad()), just).arena_bytes == need
    with pytest.raises(DoesNotFit):
        compile_graph(ModelPackage("ad", standins.ad()), replace(just, ram_bytes=just.ram_bytes - 1))


def test_too_little_flash_names_the_heaviest_layers() -> None:
    small = replace(TARGET, flash_bytes=100_000)
    with pytest.raises(DoesNotFit, match=r"weights need \d+ bytes, board mps2_an385 has 100000 of flash \(largest: op \d+ ") as caught:
        compile_graph(ModelPackage("ad", standins.ad()), small)
    assert caught.value.hint is not None and caught.value.hint.startswith("fewer channels there (to ")
