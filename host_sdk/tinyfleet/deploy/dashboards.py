"""The Grafana dashboard of a gateway, generated; no Grafana server has rendered it.

::

    python -m tinyfleet.deploy.dashboards --write       # after a change here; needs grafana-foundation-sdk (a package of developers)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard
    from grafana_foundation_sdk.builders.timeseries import Panel

DASHBOARD = Path(__file__).parent / "grafana" / "tinyfleet-gateway.json"
DATASOURCE = "tinyfleet-prometheus"
"""Its uid in ``grafana/datasource.yml``."""
HEIGHT, WIDTH = 8, 8

PANELS: tuple[tuple[str, tuple[tuple[str, tuple[tuple[str, str], ...], str], ...]], ...] = (
    (
        "Records",
        (
            ("Pulled", (("tinyfleet:records_pulled:rate1m", "{{instance}}"),), "recps"),
            ("Waiting", (("tinyfleet_outbox_waiting", "{{instance}} {{sink}}"),), "short"),
            ("Age of the oldest", (("tinyfleet_outbox_oldest_seconds", "{{instance}}"),), "s"),
            ("Outbox filled", (("tinyfleet:outbox_fill:ratio", "{{instance}}"),), "percentunit"),
            (
                "Never delivered, in 10 minutes",
                (
                    ("increase(tinyfleet_outbox_dropped_total[10m])", "dropped {{instance}} {{sink}}"),
                    ("increase(tinyfleet_records_lost_total[10m])", "lost on devices {{instance}}"),
                ),
                "short",
            ),
            ("Filtered", (("rate(tinyfleet_records_filtered_total[5m])", "{{instance}}"),), "recps"),
        ),
    ),
    (
        "Devices",
        (
            ("Connected", (("sum by (instance) (tinyfleet_device_up)", "{{instance}}"),), "short"),
            ("Not connected", (("tinyfleet_device_up == 0", "{{device_id}} {{url}}"),), "short"),
            ("Round trip, 95 of 100", (("tinyfleet:round_trip_seconds:p95", "{{instance}}"),), "s"),
            ("Inference, 95 of 100", (("tinyfleet:inference_seconds:p95", "{{instance}}"),), "s"),
            ("Connections that ended", (("rate(tinyfleet_device_failures_total[5m])", "{{device_id}}"),), "cps"),
        ),
    ),
    (
        "Sinks and process",
        (
            ("Delivery, 99 of 100 (budget 250 ms)", (("tinyfleet:delivery_seconds:p99", "{{instance}} {{sink}}"),), "s"),
            ("Deliveries that failed", (("rate(tinyfleet_sink_failures_total[5m])", "{{instance}} {{sink}}"),), "cps"),
            ("Processor", (('rate(process_cpu_seconds_total{job="tinyfleet"}[1m])', "{{instance}}"),), "percentunit"),
            ("Resident memory", (('process_resident_memory_bytes{job="tinyfleet"}', "{{instance}}"),), "bytes"),
        ),
    ),
)
"""Row -> panels: title, (query, legend) ..., unit."""


def dashboard_json() -> str:
    """The dashboard as Grafana imports it.

    Raises:
        ModuleNotFoundError: grafana-foundation-sdk is not installed.
    """
    from grafana_foundation_sdk.builders.dashboard import Dashboard, Row  # noqa: PLC0415
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415

    dashboard = Dashboard("tinyfleet gateways").uid("tinyfleet-gateway").tags(["tinyfleet"]).refresh("10s").time("now-1h", "now")
    for row, panels in PANELS:
        dashboard.with_row(Row(row))
        for title, queries, unit in panels:
            dashboard.with_panel(_panel(title, queries, unit))
    return _encoded(dashboard, JSONEncoder)


def _panel(title: str, queries: tuple[tuple[str, str], ...], unit: str) -> Panel:
    from grafana_foundation_sdk.builders.prometheus import Dataquery  # noqa: PLC0415
    from grafana_foundation_sdk.builders.timeseries import Panel  # noqa: PLC0415
    from grafana_foundation_sdk.models.dashboard import DataSourceRef  # noqa: PLC0415

    panel = Panel().title(title).unit(unit).min(0).height(HEIGHT).span(WIDTH)
    panel.datasource(DataSourceRef(type_val="prometheus", uid=DATASOURCE))
    for letter, (expression, legend) in zip("ABCDEF", queries, strict=False):
        # Without a ref_id of its own Grafana takes one query for the other.
        panel.with_target(Dataquery().ref_id(letter).expr(expression).legend_format(legend))
    return panel


def _encoded(dashboard: Dashboard, encoder: type) -> str:
    return str(encoder(sort_keys=True, indent=2).encode(dashboard.build())) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        DASHBOARD.write_text(dashboard_json(), encoding="utf-8")
    else:
        sys.stdout.write(dashboard_json())
