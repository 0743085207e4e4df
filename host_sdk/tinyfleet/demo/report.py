"""The figures of one demo run, and what they must fulfil."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

MIN_FLOAT_ACCURACY = 0.70
MAX_INT8_DIFFERENCE = 0.02
MIN_CHECKED_WINDOWS = 200


@dataclass(frozen=True, slots=True)
class DemoFigures:
    """The numbers; their names are the keys of ``tinyfleet demo --json``.

    Attributes:
        float_accuracy: Of the float network, on windows of unseen subjects.
        int8_accuracy: Of the int8 model in TFLite Micro, on the same windows.
        device_accuracy: Of the board, on the windows that were replayed into it.
        host_equal: The C engine on the host gives TFLite Micro's bytes for every one of ``host_checked`` windows.
        device_equal: The board gives the host engine's bytes for every one of ``device_checked`` windows.
        instructions_per_inference: Largest count that the emulated board saw.
        records_produced: The board's own counter.
        duplicates, lost: Of the audit in the cloud.
        outbox_depth_at_cloud_kill: Records that waited in the gateway when the cloud was killed.
        undelivered_at_gateway_kill: Records that waited in the gateway when it was killed itself.
    """

    float_accuracy: float
    int8_accuracy: float
    device_accuracy: float
    host_equal: bool
    host_checked: int
    device_equal: bool
    device_checked: int
    flash_bytes: int
    ram_bytes: int
    instructions_per_inference: int
    records_produced: int
    records_in_cloud: int
    duplicates: int
    lost: int
    cloud_kills: int
    gateway_kills: int
    outbox_depth_at_cloud_kill: int
    undelivered_at_gateway_kill: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DemoReport:
    """A finished run.

    Attributes:
        failures: One line for everything that is not as it must be; empty when all is well.
        url: The live page, where everything still runs.
    """

    recipe: str
    board: str
    link: str
    sink: str
    seed: int
    model_id: str
    device_id: str
    oracle: str
    figures: DemoFigures
    steps: tuple[tuple[str, float], ...]
    events: tuple[tuple[float, str], ...]
    failures: tuple[str, ...]
    url: str

    def write(self, path: Path) -> None:
        """Write ``report.json``: figures, steps with their seconds, events of the relay, failures."""
        path.write_text(json.dumps({"version": 1, **asdict(self)}, indent=2) + "\n", encoding="utf-8")


def check_figures(figures: DemoFigures, host_accuracy_on_replay: float) -> list[str]:
    """What is not as it must be, one line each, beyond what the audit found.

    Args:
        host_accuracy_on_replay: Of the host engine, on the windows that were replayed.
    """
    f = figures
    checks = [
        (f.float_accuracy >= MIN_FLOAT_ACCURACY, f"float accuracy {f.float_accuracy:.3f} is below {MIN_FLOAT_ACCURACY}"),
        (
            abs(f.int8_accuracy - f.float_accuracy) <= MAX_INT8_DIFFERENCE,
            f"int8 accuracy {f.int8_accuracy:.3f} is not within {MAX_INT8_DIFFERENCE} of the float one, {f.float_accuracy:.3f}",
        ),
        (
            f.device_accuracy == host_accuracy_on_replay,
            f"the board's accuracy {f.device_accuracy:.4f} is not the host's on the same windows, {host_accuracy_on_replay:.4f}",
        ),
        (f.host_equal and f.host_checked > 0, f"the host's C differs from the oracle ({f.host_checked} windows checked)"),
        (f.device_equal, f"the board differs from the host ({f.device_checked} windows checked)"),
        (
            f.device_checked >= MIN_CHECKED_WINDOWS,
            f"{f.device_checked} windows were checked on the board, {MIN_CHECKED_WINDOWS} are needed",
        ),
        (
            f.records_in_cloud == f.records_produced > 0,
            f"the board made {f.records_produced} records, the cloud has {f.records_in_cloud}",
        ),
        (f.duplicates == 0, f"{f.duplicates} records are duplicated"),
        (f.lost == 0, f"{f.lost} records are lost"),
        (f.outbox_depth_at_cloud_kill > 0, "nothing was queued when the cloud was killed"),
        (f.undelivered_at_gateway_kill > 0, "nothing was undelivered when the gateway was killed"),
    ]
    return [failure for holds, failure in checks if not holds]
