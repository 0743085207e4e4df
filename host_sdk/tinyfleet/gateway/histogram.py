"""How long things took: counts per bucket, as Prometheus wants them, without needing its package."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

ACK_BUDGET_S = 0.25
"""A delivery shall be acknowledged within this, 99 of 100."""
DELIVERY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, ACK_BUDGET_S, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Close around the budget: a quantile that Prometheus computes is right to within a bucket."""
ROUND_TRIP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
INFERENCE_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Histogram:
    """Counts of observed seconds.

    Args:
        buckets_s: Upper ends of the buckets, rising; one more, without end, is implied.

    Attributes:
        counts: One per bucket and one for what is above all.
        sum_s: Of all that was observed.
    """

    __slots__ = ("buckets_s", "counts", "sum_s")

    def __init__(self, buckets_s: Sequence[float]) -> None:
        self.buckets_s = tuple(buckets_s)
        self.counts = [0] * (len(self.buckets_s) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(self.buckets_s, seconds)] += 1
        self.sum_s += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper end, how many were at most that), the last one ``+Inf``."""
        total = 0
        pairs: list[tuple[str, float]] = []
        for end, count in zip([*map(str, self.buckets_s), "+Inf"], self.counts, strict=True):
            total += count
            pairs.append((end, float(total)))
        return pairs

    def to_json(self) -> dict[str, float]:
        """For the status file: how many, and the mean."""
        count = sum(self.counts)
        return {"count": count, "mean_s": round(self.sum_s / count, 6) if count else 0.0}
