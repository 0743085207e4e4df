"""What a gateway tells Prometheus: its status and what its outbox says, at the moment of the scrape."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from tinyfleet import __version__
from tinyfleet.gateway.histogram import Histogram
from tinyfleet.gateway.outbox import OutboxState
from tinyfleet.gateway.outbox_captures import DAY_S, Outcome
from tinyfleet.gateway.outbox_schema import CaptureTotals
from tinyfleet.gateway.status import GatewayStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Snapshot:
    """A collector of what was gathered before."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> list[Metric]:
        return self._metrics


def exposition(status: GatewayStatus, outbox: OutboxState, max_bytes: int) -> bytes:
    """The text that Prometheus reads.

    Args:
        status: Of the running gateway.
        outbox: What its outbox says now.
        max_bytes: The outbox's bound.
    """
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(_Snapshot(_metrics(status, outbox, max_bytes)))
    return generate_latest(registry)


def _metrics(status: GatewayStatus, outbox: OutboxState, max_bytes: int) -> Iterator[Metric]:
    yield _gauge("tinyfleet_gateway_info", "Always 1.", [({"gateway_id": status.gateway_id, "version": __version__}, 1)])
    yield _gauge("tinyfleet_outbox_used_bytes", "Bytes in use in the outbox.", [({}, outbox.depth.used_bytes)])
    yield _gauge("tinyfleet_outbox_max_bytes", "Bound of the outbox in bytes.", [({}, max_bytes)])
    yield _gauge("tinyfleet_outbox_oldest_seconds", "Age of the oldest entry, in seconds that gateways ran.", [({}, outbox.oldest_age_s)])
    sinks = outbox.depth.sinks
    yield _gauge("tinyfleet_outbox_waiting", "Entries to be delivered.", [({"sink": s.name}, s.waiting) for s in sinks])
    yield _gauge("tinyfleet_outbox_refused", "Entries that the sink refused, kept.", [({"sink": s.name}, s.refused) for s in sinks])
    for name, what in (
        ("delivered", "Entries accepted"),
        ("dropped", "Entries dropped before the sink had them"),
        ("filtered", "Withheld"),
    ):
        yield _counter(f"tinyfleet_outbox_{name}", f"{what}.", [({"sink": s.name}, getattr(s, name)) for s in sinks])
    targets = [({"target": t.name}, t) for t in outbox.depth.targets]
    yield _gauge("tinyfleet_actions_waiting", "Actions of rules to be done.", [(n, t.waiting) for n, t in targets])
    yield _counter("tinyfleet_actions_done", "Actions that targets took.", [(n, t.done) for n, t in targets])
    yield _counter("tinyfleet_actions_given_up", "Actions that targets will never take.", [(n, t.given_up) for n, t in targets])
    yield _counter("tinyfleet_actions_dropped", "Actions that were too many or too old.", [(n, t.dropped) for n, t in targets])
    yield _counter("tinyfleet_edge_states_put_aside", "Damaged states of the edge.", [({}, outbox.depth.edges_put_aside)])
    yield _counter("tinyfleet_records_pulled", "Records pulled from devices.", [({}, outbox.pulled)])
    yield _counter("tinyfleet_records_lost", "Records that devices overwrote before they were pulled.", [({}, outbox.lost)])
    yield _counter("tinyfleet_records_filtered", "Records left out on purpose.", [({}, outbox.filtered)])
    yield from _capture_metrics(outbox.depth.captures)

    devices = [({"url": d.url, "device_id": "" if d.device_id is None else d.device_id.hex()}, d) for d in status.devices]
    yield _gauge("tinyfleet_device_up", "1 while the device is connected.", [(n, d.state == "connected") for n, d in devices])
    yield _counter("tinyfleet_device_pulled", "Records since the gateway started.", [(n, d.pulled) for n, d in devices])
    yield _counter("tinyfleet_device_lost", "Records it overwrote since the gateway started.", [(n, d.lost) for n, d in devices])
    yield _counter("tinyfleet_device_failures", "Connections that ended.", [(n, d.failures) for n, d in devices])
    yield _gauge("tinyfleet_device_round_trip_seconds", "Of its last pull.", [(n, d.rtt_s) for n, d in devices if d.rtt_s is not None])
    now_s = time.time()
    pulls = [(n, max(0.0, now_s - d.last_pull_s)) for n, d in devices if d.last_pull_s is not None]
    yield _gauge("tinyfleet_device_silent_seconds", "Since its last answer.", pulls)
    yield _histogram("tinyfleet_round_trip_seconds", "Of pulls, all devices.", [({}, status.round_trips)])
    yield _histogram("tinyfleet_inference_seconds", "Of inferences, as devices say, all devices.", [({}, status.inferences)])

    yield _gauge(
        "tinyfleet_sink_up", "1 unless the last delivery failed.", [({"sink": s.name}, s.last_error is None) for s in status.sinks]
    )
    yield _counter("tinyfleet_sink_attempts", "Deliveries tried.", [({"sink": s.name}, s.attempts) for s in status.sinks])
    yield _counter("tinyfleet_sink_failures", "Deliveries that failed.", [({"sink": s.name}, s.failures) for s in status.sinks])
    yield _histogram(
        "tinyfleet_delivery_seconds", "From the offer to the acknowledgement.", [({"sink": s.name}, s.deliveries) for s in status.sinks]
    )


def _capture_metrics(captures: Iterable[CaptureTotals]) -> Iterator[Metric]:
    of = [({"device_id": c.device_id.hex()}, c) for c in captures]
    today = int(time.time() // DAY_S)
    yield _counter("tinyfleet_windows_wanted", "Windows that were to be fetched from devices.", [(n, c.wanted) for n, c in of])
    ended = [(n | {"outcome": outcome.value}, getattr(c, outcome.value)) for n, c in of for outcome in Outcome]
    yield _counter("tinyfleet_windows_ended", "What became of them: fetched, or why not.", ended)
    yield _gauge("tinyfleet_windows_waiting", "Windows to be fetched.", [(n, c.waiting) for n, c in of])
    yield _counter("tinyfleet_windows_bytes", "Bytes of windows that were fetched.", [(n, c.bytes) for n, c in of])
    spent = [(n, c.day_bytes if c.day == today else 0) for n, c in of]
    yield _gauge("tinyfleet_windows_spent_bytes", "Of them, those of today (UTC): what the budget applies to.", spent)


Labelled = Iterable[tuple[dict[str, str], float]]


def _gauge(name: str, what: str, values: Labelled) -> Metric:
    family = GaugeMetricFamily(name, what)
    for labels, value in values:
        family.add_sample(name, labels, float(value))
    return family


def _counter(name: str, what: str, values: Labelled) -> Metric:
    family = CounterMetricFamily(name, what)
    for labels, value in values:
        family.add_sample(f"{name}_total", labels, float(value))
    return family


def _histogram(name: str, what: str, values: Iterable[tuple[dict[str, str], Histogram]]) -> Metric:
    family = HistogramMetricFamily(name, what)
    for labels, histogram in values:
        pairs = histogram.cumulative()
        for end, count in pairs:
            family.add_sample(f"{name}_bucket", labels | {"le": end}, count)
        family.add_sample(f"{name}_count", labels, pairs[-1][1])
        family.add_sample(f"{name}_sum", labels, histogram.sum_s)
    return family
