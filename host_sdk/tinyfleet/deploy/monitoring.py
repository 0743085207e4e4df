"""Copies of what watches gateways, for the targets that are named."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tinyfleet_codegen.errors import StoreError, UsageError

FILES = (
    "prometheus/prometheus.yml",
    "prometheus/tinyfleet.rules.yml",
    "grafana/datasource.yml",
    "grafana/dashboards.yml",
    "grafana/tinyfleet-gateway.json",
)
_TARGETS = 'targets: ["127.0.0.1:9464"]'


def write_monitoring(folder: Path, targets: Sequence[str]) -> list[Path]:
    """Write the files below ``folder``; returns them.

    Args:
        folder: Made when it is absent; files of the same names are replaced.
        targets: ``HOST:PORT`` of each gateway's metrics.

    Raises:
        UsageError: a target is not such.
        StoreError: the folder cannot be written.
    """
    for target in targets:
        if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}", target):
            raise UsageError(f"{target!r} is not HOST:PORT", hint="the address that [gateway] metrics_host and metrics_port name")
    written = []
    for name in FILES:
        text = (Path(__file__).parent / name).read_text(encoding="utf-8")
        if name.endswith("prometheus.yml"):
            text = text.replace(_TARGETS, f"targets: {json.dumps(list(targets))}")
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}", hint="name another folder") from error
        written.append(path)
    return written
