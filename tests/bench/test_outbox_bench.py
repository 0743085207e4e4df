from __future__ import annotations

from pathlib import Path

from tinyfleet.bench.outbox import bench_outbox


def test_outbox_keeps_up_with_a_bare_loop_and_drains(tmp_path: Path) -> None:
    # Wide of the figures, which are of an idle machine.
    result = bench_outbox(tmp_path, turn_records=2000, queued=5000, ack_s=1.0)
    assert result.ratio > 0.4
    assert result.ack_p50_ms < 250 and result.ack_p50_ms <= result.ack_p99_ms
    assert result.drain_hz > 2_000
    assert result.drained_bytes <= 4 * 2**20
