"""From a device's microseconds since boot to UTC, with an error that is stated instead of hoped for.

A sample pairs the device's uptime with the gateway's clock, taken in the middle of a request; half of the request's
round trip is its error. From there on the device's clock may drift: by what the data sheet allows, or by what
was seen between the last two samples when that is more (an emulated board under load runs late).
"""

from __future__ import annotations

from dataclasses import dataclass

LATEST_UTC_US = 253_402_300_799_999_999
"""The last microsecond of the year 9999; no calendar has a later one."""
LARGEST_ERROR_US = 2**62


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One moment on two clocks.

    Attributes:
        uptime_us: The device's microseconds since boot.
        utc_us: The gateway's microseconds since 1970.
        error_us: Half of the round trip that brought the pair.
    """

    uptime_us: int
    utc_us: int
    error_us: int


class DeviceClock:
    """The mapping of one boot of one device.

    Args:
        drift_ppm: How far the device's clock may be off, in parts per million.
    """

    def __init__(self, drift_ppm: int) -> None:
        self._drift = drift_ppm / 1e6
        self._observed = 0.0
        self._sample: ClockSample | None = None

    @property
    def sample(self) -> ClockSample | None:
        """The last pair, or None."""
        return self._sample

    def add(self, sample: ClockSample) -> None:
        """Take a newer pair of the same boot."""
        last = self._sample
        if last is not None and sample.uptime_us > last.uptime_us:
            uptime = sample.uptime_us - last.uptime_us
            off = abs((sample.utc_us - last.utc_us) - uptime)
            self._observed = off / uptime
        self._sample = sample

    def to_utc(self, uptime_us: int) -> tuple[int, int] | None:
        """``(time_utc_us, time_error_us)`` of a moment on the device's clock.

        None before the first sample, and where the device says what cannot be: a time that no calendar has would stop who writes it.
        """
        if self._sample is None:
            return None
        distance = uptime_us - self._sample.uptime_us
        error = self._sample.error_us + abs(distance) * max(self._drift, self._observed)
        time_utc_us = self._sample.utc_us + distance
        if not (0 <= time_utc_us <= LATEST_UTC_US and error < LARGEST_ERROR_US):
            return None
        return time_utc_us, round(error)
