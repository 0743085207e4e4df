"""Kafka by URL, and librdkafka's options for it: what the gateway's sink and the cloud's ingest share."""

from __future__ import annotations

import re
from pathlib import Path

DEFAULT_TOPIC = "tinyfleet.telemetry.v1"
_URL = re.compile(r"(kafkas?)://([^\s,:/]+:\d{1,5}(?:,[^\s,:/]+:\d{1,5})*)(?:/([A-Za-z0-9._-]{1,249})?)?")


def kafka_address(url: str) -> tuple[str, str, bool]:
    """Bootstrap servers, topic and whether TLS is spoken, of ``kafka://HOST:PORT[,HOST:PORT][/TOPIC]`` or ``kafkas://...``.

    Raises:
        ValueError: it is not such a URL.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("not such a URL")
    return match[2], match[3] or DEFAULT_TOPIC, match[1] == "kafkas"


def client_options(
    url: str,
    *,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    username: str | None = None,
    password: str | None = None,
    mechanism: str = "SCRAM-SHA-512",
) -> dict[str, str | int | bool]:
    """Options for any client of a cluster.

    Raises:
        ValueError: see :func:`kafka_address`.
    """
    bootstrap, _, is_tls = kafka_address(url)
    sasl = "SASL_" if username is not None else ""
    options: dict[str, str | int | bool] = {
        "bootstrap.servers": bootstrap,
        "security.protocol": f"{sasl}{'SSL' if is_tls else 'PLAINTEXT'}",
        # Brokers that come and go are told by deliveries that fail, not by the library's own words on stderr.
        "log_level": 0,
        "reconnect.backoff.max.ms": 1000,
    }
    if username is not None:
        options |= {"sasl.mechanism": mechanism, "sasl.username": username, "sasl.password": password or ""}
    for name, path in (("ssl.ca.location", ca), ("ssl.certificate.location", certificate), ("ssl.key.location", key)):
        if path is not None:
            options[name] = str(path)
    return options
