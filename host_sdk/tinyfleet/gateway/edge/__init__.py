"""What happens to records between the device and the outbox: filters, windows, rules, and what may leave at all.

Everything is decided from the records themselves and a small state per boot of a device, which the outbox keeps in the transaction of the
cursor: a record is delivered, covered by a window, or counted as filtered, exactly one of them, wherever the gateway is killed.
"""

from __future__ import annotations

from tinyfleet.gateway.edge.edge import Edge, Processed, check_state
from tinyfleet.gateway.edge.settings import CaptureSettings, FilterSettings, PolicySettings, RuleSettings, Visibility, WindowSettings

__all__ = [
    "CaptureSettings",
    "Edge",
    "FilterSettings",
    "PolicySettings",
    "Processed",
    "RuleSettings",
    "Visibility",
    "WindowSettings",
    "check_state",
]
