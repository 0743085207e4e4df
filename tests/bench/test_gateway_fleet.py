"""``tinyfleet bench gateway`` and the devices that it simulates, small."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.small_models import dense_package
from tinyfleet.bench.gateway_fleet import bench_fleet
from tinyfleet.emulator.simulated import TINY_MODEL


@pytest.mark.full
def test_a_small_fleet_loses_nothing_and_is_measured(tmp_path: Path) -> None:
    result = bench_fleet(8, 50, 5.0, tmp_path, poll_s=0.1)
    print(result)
    assert result.produced == result.stored > 8 * 20
    assert (result.lost, result.duplicated) == (0, 0)
    assert result.cpu_us_per_record > 0 and result.rss_end_bytes > 2**24


def test_the_fleet_s_model_is_the_one_that_tests_make() -> None:
    assert TINY_MODEL.read_bytes() == dense_package("tiny", 1).tflite
