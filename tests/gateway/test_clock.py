"""The time of a record, and the error that is stated with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tinyfleet.gateway import puller
from tinyfleet.gateway.clock import ClockSample, DeviceClock
from tinyfleet.gateway.puller import ask_who_and_when


def test_no_time_before_the_first_sample() -> None:
    assert DeviceClock(200).to_utc(5) is None


def test_moment_is_mapped_with_the_error_of_the_round_trip() -> None:
    clock = DeviceClock(200)
    clock.add(ClockSample(uptime_us=10_000_000, utc_us=1_700_000_000_000_000, error_us=900))
    assert clock.to_utc(10_000_000) == (1_700_000_000_000_000, 900)
    # One hour earlier: 200 ppm of an hour are 0.72 s.
    assert clock.to_utc(10_000_000 - 3_600_000_000) == (1_700_000_000_000_000 - 3_600_000_000, 900 + 720_000)


def test_drift_that_was_seen_widens_the_error() -> None:
    clock = DeviceClock(200)
    clock.add(ClockSample(uptime_us=0, utc_us=0, error_us=100))
    # The device lost half a second in ten: an emulated board on a busy machine.
    clock.add(ClockSample(uptime_us=9_500_000, utc_us=10_000_000, error_us=100))
    moment = clock.to_utc(8_500_000)
    assert moment is not None
    time_utc_us, error_us = moment
    assert abs(time_utc_us - 8_500_000 * 10 / 9.5) <= error_us
    assert error_us < 100_000


@pytest.mark.parametrize("stopped_at", range(4))
async def test_a_process_that_is_stopped_states_the_error_that_it_makes(stopped_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it reads a clock or asks: the error used to be that of the round trip alone when the two clocks were read apart."""
    now_us, reads = 1_700_000_000_000_000, 0

    def read() -> int:
        nonlocal now_us, reads
        now_us += 2_000_000 if reads == stopped_at else 1_000
        reads += 1
        return now_us

    class Device:
        async def hello(self) -> Any:
            return SimpleNamespace(uptime_us=read() - 1_600_000_000_000_000)

    clock = SimpleNamespace(monotonic=lambda: (read() - 1_500_000_000_000_000) / 1e6, time_ns=lambda: read() * 1000)
    monkeypatch.setattr(puller, "time", clock)
    _, sample = await ask_who_and_when(Device())  # type: ignore[arg-type]
    assert reads == 4
    assert abs(sample.utc_us - (sample.uptime_us + 1_600_000_000_000_000)) <= sample.error_us
    assert sample.error_us < 1_100_000
