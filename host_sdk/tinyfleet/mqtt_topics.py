"""Names of MQTT topics, version 1: ``tf/1/GATEWAY/...``. One access rule per gateway, its certificate's name, covers them.

::

    tf/1/GATEWAY/telemetry/DEVICE   batches of events about a device; DEVICE is 32 digits, or ``gateway``
    tf/1/GATEWAY/status             retained: online or offline; the last will too
    tf/1/GATEWAY/ack                what the cloud has committed, for the gateway
"""

from __future__ import annotations

from urllib.parse import urlsplit

ROOT = "tf/1"
EVERY_TELEMETRY = f"{ROOT}/+/telemetry/+"
"""What a cloud subscribes to."""
PORTS = {"mqtt": 1883, "mqtts": 8883}


def telemetry_topic(gateway_id: str, device_id: bytes | None) -> str:
    """Where a device's events go; None: what is about the gateway itself."""
    return f"{ROOT}/{gateway_id}/telemetry/{'gateway' if device_id is None else device_id.hex()}"


def status_topic(gateway_id: str) -> str:
    """Where a gateway says whether it is there."""
    return f"{ROOT}/{gateway_id}/status"


def ack_topic(gateway_id: str) -> str:
    """Where a gateway is told what is committed."""
    return f"{ROOT}/{gateway_id}/ack"


def gateway_of(topic: str) -> str | None:
    """The gateway whose telemetry a topic carries; None: it is no such topic."""
    parts = topic.split("/")
    return parts[2] if len(parts) == 5 and "/".join(parts[:2]) == ROOT and parts[3] == "telemetry" else None


def mqtt_address(url: str) -> tuple[str, int, bool]:
    """Host, port and whether TLS is spoken, of ``mqtt://HOST[:PORT]`` or ``mqtts://HOST[:PORT]``.

    Raises:
        ValueError: it is not such a URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.password or parts.path.strip("/") or parts.query:
        raise ValueError("not such a URL")
    return parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "mqtts"
