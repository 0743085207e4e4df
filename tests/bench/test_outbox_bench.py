"""What ``tinyfleet bench gateway`` measures of outbox and drain, small; its speeds are of an idle machine and belong there."""

from __future__ import annotations

from pathlib import Path

from tinyfleet.bench.drain import bench_drain
from tinyfleet.bench.outbox import bench_outbox

ATTEMPTS = 4


def test_outbox_keeps_up_with_a_bare_loop(tmp_path: Path) -> None:
    ratios: list[float] = []
    # Both loops take turns in one run: other work can spoil the ratio of a run, and makes no slow outbox fast.
    while not ratios or (max(ratios) <= 0.4 and len(ratios) < ATTEMPTS):
        folder = tmp_path / str(len(ratios))
        folder.mkdir()
        result = bench_outbox(folder, turn_records=2000, ack_s=1.0)
        print(result)
        ratios.append(result.ratio)
        assert 0 < result.ack_p50_ms <= result.ack_p99_ms
    assert max(ratios) > 0.4, ratios


def test_what_waits_when_the_cloud_comes_back_goes_into_it_once(tmp_path: Path) -> None:
    result = bench_drain(tmp_path, queued=20_010)
    print(result)
    assert (result.stored, result.lost, result.duplicated) == (20_010, 0, 0)
    assert result.left_bytes <= 4 * 2**20
