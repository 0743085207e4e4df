"""What a running gateway says about itself: a small JSON file, replaced once a second, beside the outbox."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tinyfleet.gateway.histogram import DELIVERY_BUCKETS_S, INFERENCE_BUCKETS_S, ROUND_TRIP_BUCKETS_S, Histogram
from tinyfleet.gateway.outbox import OUTBOX_FILE, inspect_outbox
from tinyfleet_codegen.errors import StoreError

STATUS_VERSION = 1
STATUS_FILE = "status.json"
STALE_S = 5.0
"""Age at which a status file means that its gateway no longer runs or is stuck."""


@dataclass(slots=True)
class DeviceStatus:
    """One device port since the gateway started.

    Attributes:
        raw_bytes: Of its records as they were pulled.
        queued_bytes: Of what was made of them for sinks.
        rtt_s: Seconds that its last pull took.
        round_trips: Of pulls; shared by all devices.
        inferences: As its records say; shared by all devices.
    """

    url: str
    state: str = "connecting"
    device_id: bytes | None = None
    boot_id: int | None = None
    board: str | None = None
    app: str | None = None
    model_id: bytes | None = None
    model_name: str | None = None
    pulled: int = 0
    lost: int = 0
    raw_bytes: int = 0
    queued_bytes: int = 0
    failures: int = 0
    rewinds: int = 0
    last_pull_s: float | None = None
    rtt_s: float | None = None
    last_error: str | None = None
    round_trips: Histogram = field(default_factory=lambda: Histogram(ROUND_TRIP_BUCKETS_S))
    inferences: Histogram = field(default_factory=lambda: Histogram(INFERENCE_BUCKETS_S))


@dataclass(slots=True)
class SinkStatus:
    """One sink since the gateway started, or since its configuration was read again.

    Attributes:
        name: Its place in the outbox.
        target: Where it goes.
    """

    name: str
    target: str
    state: str = "idle"
    delivered: int = 0
    refused: int = 0
    attempts: int = 0
    failures: int = 0
    last_delivery_s: float | None = None
    last_error: str | None = None
    failing_since_s: float | None = None
    deliveries: Histogram = field(default_factory=lambda: Histogram(DELIVERY_BUCKETS_S))

    def failed(self, error: str) -> None:
        """A delivery failed."""
        self.state = "waiting"
        self.failures += 1
        self.last_error = error
        if self.failing_since_s is None:
            self.failing_since_s = time.monotonic()

    def worked(self) -> None:
        """A delivery was answered."""
        self.last_delivery_s = time.time()
        self.last_error = None
        self.failing_since_s = None

    @property
    def failing_s(self) -> float | None:
        """For how long it has failed; None when the last delivery worked."""
        return None if self.failing_since_s is None else time.monotonic() - self.failing_since_s


@dataclass(slots=True)
class GatewayStatus:
    """The whole process.

    Attributes:
        actions: Why the last attempt of each target of rules failed; None: it did not.
    """

    gateway_id: str
    is_stopped: bool = False
    pid: int = field(default_factory=os.getpid)
    started_s: float = field(default_factory=time.time)
    devices: list[DeviceStatus] = field(default_factory=list)
    sinks: list[SinkStatus] = field(default_factory=list)
    actions: dict[str, str | None] = field(default_factory=dict)
    round_trips: Histogram = field(default_factory=lambda: Histogram(ROUND_TRIP_BUCKETS_S))
    inferences: Histogram = field(default_factory=lambda: Histogram(INFERENCE_BUCKETS_S))

    def write(self, data_dir: Path) -> None:
        """Replace the status file; a reader sees the old one or the new one.

        Raises:
            OSError: the disk is full or not writable.
        """
        document = {"version": STATUS_VERSION, "written_s": time.time(), **_plain(self)}
        text = json.dumps(document, default=_plain)  # without indent: that is done in Python, and costs with many devices
        temporary = data_dir / f"{STATUS_FILE}.new"
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(data_dir / STATUS_FILE)


_SHARED = ("round_trips", "inferences")


def _plain(value: Any) -> Any:
    """What JSON has no notation for."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Histogram):
        return value.to_json()
    names = (f.name for f in fields(value))
    return {n: getattr(value, n) for n in names if n not in _SHARED or isinstance(value, GatewayStatus)}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and another user's
    return True


def check_data_dir(data_dir: Path) -> int:
    """How many records wait in a data folder; 0 when it has yet to be made.

    Raises:
        StoreError: the outbox in it cannot be read, or the folder cannot be made or written.
    """
    nearest = next(path for path in (data_dir, *data_dir.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise StoreError(f"cannot write in {nearest}", hint=f"make it writable for user id {os.getuid()}, or choose another data_dir")
    outbox = data_dir / OUTBOX_FILE
    return inspect_outbox(outbox)[0].waiting if outbox.exists() else 0


def read_status(data_dir: Path) -> dict[str, Any]:
    """What is known about the gateway of a data folder, running or not: its last status and what its outbox holds now.

    Raises:
        StoreError: the folder holds no gateway, or its outbox cannot be read.
    """
    outbox = data_dir / OUTBOX_FILE
    if not outbox.exists():
        raise StoreError(f"no gateway has run in {data_dir}", hint="tinyfleet gateway run CONFIG.toml starts one")
    depth, boots = inspect_outbox(outbox)
    try:
        live = json.loads((data_dir / STATUS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        live = {}
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {data_dir / STATUS_FILE}: {error}", hint="the gateway writes it anew when it runs") from error
    age_s = time.time() - live.get("written_s", 0.0)
    return {
        "running": age_s < STALE_S and not live["is_stopped"] and _is_alive(live["pid"]),
        "gateway_id": live.get("gateway_id"),
        "pid": live.get("pid"),
        "outbox": {
            "waiting": depth.waiting,
            "refused": depth.refused,
            "used_bytes": depth.used_bytes,
            **{name: sum(getattr(b, name) for b in boots) for name in ("lost", "dropped", "filtered")},
            "sinks": [asdict(s) for s in depth.sinks],
            "targets": [asdict(t) for t in depth.targets],
            "edges_put_aside": depth.edges_put_aside,
            "windows": [{**asdict(c), "device_id": c.device_id.hex(), "waiting": c.waiting} for c in depth.captures],
        },
        "boots": [asdict(b) for b in boots],
        "devices": live.get("devices", []),
        "sinks": live.get("sinks", []),
        "actions": live.get("actions", {}),
    }
