"""Where rules act: a webhook, or a broker of the site. Each is told the same, with the same key whenever it is told again."""

from __future__ import annotations

from typing import Any, Protocol

import httpx

from tinyfleet.gateway.edge.settings import RuleSettings
from tinyfleet.gateway.sinks.mqtt_session import MqttSession
from tinyfleet.gateway.sinks.sink import RetryLater
from tinyfleet.gateway.tls import ConfigFolder
from tinyfleet_codegen.errors import SinkError

KEY_HEADER = "Idempotency-Key"
KEY_PROPERTY = "idempotency-key"
REFUSALS = (400, 410, 413, 415, 422)
"""Answers that say that this message will never be taken; all others but 2xx may be others tomorrow."""
RETRY_AFTER_LIMIT_S = 3600.0


class TargetRefuses(Exception):
    """The target will never take this action."""


class Target(Protocol):
    """Takes actions, one call at a time."""

    async def act(self, key: str, body: bytes) -> None:
        """Tell it, and wait until it has taken it. Cancelled at any point: nothing is known.

        Raises:
            SinkError: nothing is known; tell it again.
            RetryLater: the same, and when.
            TargetRefuses: it never will.
        """
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...


def open_targets(rule: RuleSettings, gateway_id: str, folder: ConfigFolder) -> dict[str, Target]:
    """The targets of a rule that are not a device, by name. Files and secrets are read, nobody is contacted.

    Raises:
        ConfigError: one of them cannot be had.
        SetupError: the package for MQTT is not installed.
    """
    targets: dict[str, Target] = {}
    if rule.webhook is not None:
        targets[f"{rule.name}/webhook"] = Webhook(rule, folder)
    if rule.mqtt is not None:
        targets[f"{rule.name}/mqtt"] = Topic(rule, gateway_id, folder)
    return targets


class Webhook:
    """One URL of one rule, by ``POST``."""

    def __init__(self, rule: RuleSettings, folder: ConfigFolder) -> None:
        assert rule.webhook is not None
        self._url = rule.webhook
        # trust_env=False: a proxy variable of the login shell must not divert what a service sends.
        verify: Any = rule.tls(folder) if rule.webhook.startswith("https:") else False
        self._client = httpx.AsyncClient(follow_redirects=False, timeout=rule.timeout_s, trust_env=False, verify=verify)

    async def act(self, key: str, body: bytes) -> None:
        """See :class:`Target`."""
        headers = {"Content-Type": "application/json", KEY_HEADER: key}
        try:
            # Nobody needs its body, which may have no end.
            async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                status, after = response.status_code, response.headers.get("Retry-After", "")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SinkError(f"cannot call {self._url}: {error or type(error).__name__}", retryable=True) from error
        if status in REFUSALS:
            raise TargetRefuses(f"{self._url} answered {status}")
        if status in (429, 503) and after.isascii() and after.isdigit():
            raise RetryLater(min(float(after), RETRY_AFTER_LIMIT_S), f"{self._url} answered {status}")
        if not 200 <= status < 300:
            raise SinkError(f"{self._url} answered {status}", retryable=True)

    async def close(self) -> None:
        """See :class:`Target`."""
        await self._client.aclose()


class Topic:
    """One topic of one rule, QoS 1; connected while there is something to say, and as long as it lasts."""

    def __init__(self, rule: RuleSettings, gateway_id: str, folder: ConfigFolder) -> None:
        assert rule.mqtt is not None and rule.topic is not None
        endpoint = rule.endpoint(rule.mqtt, folder, timeout_s=rule.timeout_s)
        self._topic = rule.topic

        async def greet(_connection: Any) -> None:
            return

        self._session = MqttSession(
            rule.mqtt, endpoint=lambda: endpoint, client_id=f"{gateway_id}-rule-{rule.name}",
            will=lambda: None, greet=greet, take=lambda _topic, _payload: None,
        )  # fmt: skip

    async def act(self, key: str, body: bytes) -> None:
        """See :class:`Target`."""
        connection = await self._session.connected()
        try:
            await connection.publish(self._topic, body, properties={KEY_PROPERTY: key})
        except SinkError:
            await self._session.disconnect()
            raise

    async def close(self) -> None:
        """See :class:`Target`."""
        await self._session.disconnect()
