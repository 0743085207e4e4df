"""``[filter]``, ``[window]``, ``[policy]`` and ``[[rule]]`` of the configuration."""

from __future__ import annotations

import enum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

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
    """``[policy]``: what may leave the gateway. A device's record holds all of these, so it leaves only where each is ``raw``."""

    output: _Visible = Field(default=Visibility.RAW, description="the output tensor: 'raw' or 'never'")
    classes: _Visible = Field(default=Visibility.RAW, description="the best class: 'raw', 'summary' or 'never'")
    confidence: _Visible = Field(default=Visibility.RAW, description="how sure the model was: 'raw', 'summary' or 'never'")
    latency: _Visible = Field(default=Visibility.RAW, description="how long an inference took: 'raw', 'summary' or 'never'")

    def lets_records_out(self) -> bool:
        """Whether a record may be delivered as it is."""
        return all(getattr(self, name) is Visibility.RAW for name in PolicySettings.model_fields)


def _webhook(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ValueError("not such a URL")
    return url


def _broker(url: str) -> str:
    if mqtt_address(url)[2]:
        raise ValueError("not such a URL")
    return url


class RuleSettings(Table):
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
        default=None, description="mqtt://HOST[:PORT], a broker of the site without TLS, user and password"
    )
    topic: str | None = Field(
        default=None, pattern=r"^[^#+\x00]{1,256}$", description="where to publish, 1 to 256 characters without # and +"
    )
    sample_period_ms: int | None = Field(
        default=None, ge=0, le=60_000, description="command to the device: measure every so many milliseconds, 1 to 60000; 0: stop"
    )
    timeout_s: float = Field(default=5.0, ge=0.1, le=60, description="seconds for one attempt, 0.1 to 60")

    def problem(self) -> str | None:
        """What is wrong between keys that are each right."""
        if (self.mqtt is None) != (self.topic is None):
            return f"topic = {self.topic!r}: allowed: together with mqtt"
        return None

    def does(self) -> str:
        """What it does besides a detection, for people."""
        does = [
            f"POST {self.webhook}" if self.webhook else "",
            f"publish to {self.mqtt} {self.topic}" if self.mqtt else "",
            "" if self.sample_period_ms is None else f"tell the device to measure every {self.sample_period_ms} ms",
        ]
        return ", ".join(text for text in does if text) or "a detection"
