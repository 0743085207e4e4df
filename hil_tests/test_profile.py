"""A board measures itself: instructions per layer, twice the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import standins
from tinyfleet.profile import profile_model
from tinyfleet_codegen.package import ModelPackage


@pytest.mark.timeout(300)
def test_profile_repeats_and_adds_up(tmp_path: Path) -> None:
    package = ModelPackage("ad", standins.ad())
    first, second = (profile_model(package, "mps2_an386", tmp_path / name) for name in ("first", "second"))
    assert len(first.layers) == 10
    assert all(layer.instructions > layer.macs / 2 for layer in first.layers)  # Two MACs an instruction are the most that a DSP core can.
    assert first.instructions == sum(layer.instructions for layer in first.layers)
    # The board's slow timer may interrupt a layer; nothing else may differ.
    for one, other in zip(first.layers, second.layers, strict=True):
        assert one.instructions == pytest.approx(other.instructions, abs=200)
    assert first.flash_bytes == first.code_bytes + first.weights_bytes
    assert first.macs == 264_192 and first.weights_bytes > 264_192
