"""``[filter]``, ``[window]``, ``[policy]`` and ``[[rule]]`` of the configuration."""

from __future__ import annotations

import enum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from tinyfleet.gateway.mqtt_client import MqttClientSettings
from tinyfleet.gateway.table import Table
from tinyfleet.mqtt_topics import mqtt_address

Class = Annotated[int, Field(ge=0, le=254)]
Confidence = Annotated[float, Field(ge=0, le=1)]


class FilterSettings(Table):
    """``[filter]``: which records are delivered one by one; all conditions that are given must hold."""

    classes: tuple[Class, ...] | None = Field(
        default=None, min_length=1, strict=False, description="numbers of classes that pass, each 0 to 254; default: all"
    )
    min_confidence: Confidence | None = Field(
        default=None, description="least share of its type's range that the best output element has, 0 to 1"
    )
    on_change: bool = Field(default=False, description="true: only a record whose class is not that of the one before in its stream")
    max_per_s: float | None = Field(default=None, gt=0, le=10_000, description="records of a device a second of its clock, up to 10000")


class WindowSettings(Table):
    """``[window]``: what is not delivered one by one is summed up, a window of a device's time at a time."""

    seconds: float = Field(ge=0.1, le=86_400, description="length of a window in seconds of the device's clock, 0.1 to 86400")
    quantiles: tuple[Confidence, ...] = Field(
        default=(0.5, 0.9, 0.99), max_length=16, strict=False, description="at most 16 ranks, each 0 to 1, of latency and confidence"
    )


class CaptureSettings(Table):
    """``[capture]``: of which records the window is fetched from the device and sent after them; one condition that holds is enough."""

    below_confidence: Confidence | None = Field(
        default=None, description="confidence below which a record's window is fetched, 0 to 1: the share that the best output element has"
    )
    classes: tuple[Class, ...] | None = Field(
        default=None, min_length=1, strict=False, description="numbers of classes whose windows are fetched in any case, each 0 to 254"
    )
    budget_bytes_per_day: int = Field(
        default=2**20, ge=1, le=2**40, description="bytes of windows of each device in a day of UTC, 1 to 2**40 (1 TiB)"
    )

    def problem(self) -> str | None:
        """What is wrong between keys that are each right."""
        if self.below_confidence is None and self.classes is None:
            return "below_confidence: missing; allowed: this, or classes, or both"
        return None


class Visibility(enum.StrEnum):
    """How far what a record says may go."""

    RAW = "raw"
    """Anywhere, record by record."""
    SUMMARY = "summary"
    """Only as part of a window's numbers."""
    NEVER = "never"
    """It stays in the gateway."""


_Visible = Annotated[Visibility, Field(strict=False)]


class PolicySettings(Table):
    """``[policy]``: what may leave the gateway. A device's record holds all of these but the samples, so it leaves only where each of the
    others is ``raw``; a window leaves only where everything is that could be computed from it."""

    output: _Visible = Field(default=Visibility.RAW, description="the output tensor: 'raw' or 'never'")
    classes: _Visible = Field(default=Visibility.RAW, description="the best class: 'raw', 'summary' or 'never'")
    confidence: _Visible = Field(default=Visibility.RAW, description="how sure the model was: 'raw', 'summary' or 'never'")
    latency: _Visible = Field(default=Visibility.RAW, description="how long an inference took: 'raw', 'summary' or 'never'")

    samples: _Visible = Field(default=Visibility.RAW, description="what an answer was made from: 'raw' or 'never'")

    def lets_records_out(self) -> bool:
        """Whether a record may be delivered as it is."""
        return self._lets_out("output", "classes", "confidence", "latency")

    def lets_windows_out(self) -> bool:
        """Whether a window of samples may be delivered, and so be fetched."""
        return self._lets_out("samples", "output", "classes", "confidence")

    def _lets_out(self, *names: str) -> bool:
        return all(getattr(self, name) is Visibility.RAW for name in names)


def _webhook(url: str) -> str:
    parts = urlsplit(url)
    # A wrong port raises ValueError when it is asked for.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password or parts.port == 0:
        raise ValueError("not such a URL")
    return url


def _broker(url: str) -> str:
    mqtt_address(url)
    return url


_OF_MQTT = ("username", "password_file", "password_env")


class RuleSettings(MqttClientSettings):
    """``[[rule]]``: what the gateway does by itself, with or without a cloud."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="1 to 64 letters, digits, '.', '_' or '-'")
    classes: tuple[Class, ...] | None = Field(
        default=None, min_length=1, strict=False, description="numbers of classes that count, each 0 to 254; default: all"
    )
    min_confidence: Confidence | None = Field(default=None, description="least confidence that counts, 0 to 1")
    count: int = Field(default=1, ge=1, le=1000, description="records that must count, 1 to 1000")
    within_s: float = Field(default=10.0, gt=0, le=86_400, description="seconds of the device's clock for them, up to 86400")
    cooldown_s: float = Field(default=60.0, ge=0, le=86_400, description="seconds of the device's clock until it acts again, 0 to 86400")
    webhook: Annotated[str, AfterValidator(_webhook)] | None = Field(
        default=None, description="http:// or https:// URL that gets a POST, without user and password"
    )
    mqtt: Annotated[str, AfterValidator(_broker)] | None = Field(
        default=None, description="mqtt://HOST[:PORT] or mqtts://HOST[:PORT], a broker of the site, without user and password"
    )
    topic: str | None = Field(
        default=None, pattern=r"^[^#+\x00]{1,256}$", description="where to publish, 1 to 256 characters without # and +"
    )
    sample_period_ms: int | None = Field(
        default=None, ge=0, le=60_000, description="command to the device: measure every so many milliseconds, 1 to 60000; 0: stop"
    )
    timeout_s: float = Field(default=5.0, ge=0.1, le=60, description="seconds for one attempt, 0.1 to 60")
    max_age_s: int = Field(
        default=86_400, ge=1, le=10**9, description="seconds in which the gateway runs, 1 to 1000000000; what waits longer is dropped"
    )

    @property
    def table(self) -> str:
        """See :class:`tinyfleet.gateway.tls.TlsSettings`."""
        return f"rule {self.name}"

    def problem(self) -> str | None:
        """What is wrong between keys that are each right, as ``key = value: ...``; None when nothing is."""
        if (self.mqtt is None) != (self.topic is None):
            return f"topic = {self.topic!r}: allowed: together with mqtt"
        if self.mqtt is None and (key := next((k for k in _OF_MQTT if getattr(self, k) is not None), None)) is not None:
            return f"{key} = {getattr(self, key)!r}: allowed: together with mqtt"
        is_https = self.webhook is not None and self.webhook.startswith("https:")
        if self.mqtt is not None and not (is_https and not mqtt_address(self.mqtt)[2]):
            return self.client_problem("mqtt", self.mqtt)
        if self.has_tls_files and not is_https:
            return f"webhook = {self.webhook!r}: allowed: https:// where ca_file or cert_file is given"
        return self.pair_problem()

    def conflict(self, policy: PolicySettings) -> str | None:
        """What the rule would say of a record that the policy keeps back, as ``key = value: ...``; None when it says nothing."""
        for key, word in (("classes", "classes"), ("min_confidence", "confidence")):
            if getattr(self, key) is not None and getattr(policy, word) is not Visibility.RAW:
                value = getattr(self, key)
                shown = list(value) if isinstance(value, tuple) else value
                return f"{key} = {shown!r}: allowed: with policy.{word} = 'raw' alone, because acting says it of one record"
        return None

    def targets(self) -> tuple[str, ...]:
        """Names of who acts, in the outbox: ``fall/webhook``."""
        kinds = (("webhook", self.webhook), ("mqtt", self.mqtt), ("device", self.sample_period_ms))
        return tuple(f"{self.name}/{kind}" for kind, wanted in kinds if wanted is not None)

    def does(self) -> str:
        """What it does besides a detection, for people."""
        certificate = " with certificate" if self.cert_file else ""
        does = [
            f"POST {self.webhook}{certificate if self.webhook.startswith('https:') else ''}" if self.webhook else "",
            f"publish to {self.mqtt} {self.topic}{certificate if mqtt_address(self.mqtt)[2] else ''}" if self.mqtt else "",
        ]
        if self.sample_period_ms is not None:
            what = f"measure every {self.sample_period_ms} ms" if self.sample_period_ms else "stop measuring"
            does.append(f"tell the device to {what} (until its next restart)")
        told = ", ".join(text for text in does if text)
        return f"{told}; at least once, within {self.max_age_s} s" if told else "a detection"
