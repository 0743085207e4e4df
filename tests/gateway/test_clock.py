from __future__ import annotations

from tinyfleet.gateway.clock import ClockSample, DeviceClock


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
