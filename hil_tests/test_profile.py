"""A board measures itself: instructions per layer, twice the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import standins
from tinyfleet.bench.measure import firmware_elf, measure
from tinyfleet.profile import profile_model
from tinyfleet.stack_bound import EXCEPTION_FRAME_BYTES, stack_bound
from tinyfleet_codegen.package import ModelPackage


def test_profile_repeats_and_adds_up(tmp_path: Path) -> None:
    package = ModelPackage("ad", standins.ad())
    first, second = (profile_model(package, "mps2_an386", tmp_path) for _ in range(2))
    assert len(first.layers) == 10
    assert all(layer.instructions > layer.macs / 2 for layer in first.layers)  # Two MACs an instruction are the most that a DSP core can.
    # The totals come from a program without counters around its layers and without interrupts.
    assert first.instructions == pytest.approx(sum(layer.instructions for layer in first.layers), rel=0.01)
    # The board's slow timer may interrupt a layer; nothing else may differ.
    for one, other in zip(first.layers, second.layers, strict=True):
        assert one.instructions == pytest.approx(other.instructions, abs=200)
    flash = first.flash
    assert first.flash_bytes == flash.weights_bytes + flash.tables_bytes + flash.code_bytes
    assert sum(layer.weights_bytes for layer in first.layers) == flash.weights_bytes
    assert sum(layer.tables_bytes for layer in first.layers) == flash.tables_bytes
    assert first.macs == 264_192 and flash.weights_bytes >= 264_192
    assert first.ram_bytes == first.arena_bytes + first.static_bytes + first.stack_bytes

    # Every executed instruction is of one class, and a DSP core needs a multiplication for two products.
    assert first.classes is not None and first.estimate is not None
    assert first.classes == second.classes
    assert first.classes.total == pytest.approx(first.instructions, abs=200)
    assert first.macs / 2 <= first.classes.multiply <= 0.6 * first.macs
    # A load for 4 weights at least; most of the input stays in registers or is shared by outputs.
    assert first.classes.load >= first.macs / 16
    # No instruction of the model of cycles takes less than one.
    estimate = first.estimate
    assert first.classes.total < estimate.lowest_cycles < estimate.cycles < estimate.highest_cycles < 3 * first.classes.total
    assert estimate.error and estimate.assumptions


@pytest.mark.parametrize("board", ["mps2_an386", "mps2_an385_v6m"])
def test_the_stack_that_was_used_stays_below_its_bound(board: str, tmp_path: Path) -> None:
    used = measure(ModelPackage("kws", standins.kws()), board, tmp_path).stack_bytes
    bound = stack_bound(firmware_elf(tmp_path, board), "main")
    assert used <= bound + EXCEPTION_FRAME_BYTES
    # No path that is not taken makes it useless.
    assert bound <= used + 160
