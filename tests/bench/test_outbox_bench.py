from __future__ import annotations

from pathlib import Path

from tinyfleet.bench.outbox import bench_outbox


def test_outbox_keeps_up_with_a_bare_loop_and_drains(tmp_path: Path) -> None:
    # Wide of the figures, which are of an idle machine: docs/guides/benchmark_gateway.md has those.
    result = bench_outbox(tmp_path, queued=20_000, ack_s=1.0)
    assert result.ratio > 0.4
    assert result.ack_p50_ms < 250 and result.ack_p50_ms <= result.ack_p99_ms
    assert result.drain_hz > 2_000
    assert result.drained_bytes <= 4 * 2**20
