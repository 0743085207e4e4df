"""What rules do: they call a webhook or publish to a broker of the site, with or without a cloud, and never hold up a device."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.edge.edge import Firing
from tinyfleet.gateway.edge.settings import RuleSettings
from tinyfleet.mqtt_topics import mqtt_address
from tinyfleet_codegen.errors import TinyfleetError

log = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Actions that wait; more are given up, counted and logged. The detection is in the outbox in any case."""
ATTEMPTS = 5
RETRY_FIRST_S = 0.25
RETRY_LIMIT_S = 10.0

_Action = Callable[[RuleSettings, dict[str, Any]], Awaitable[None]]


class Actions:
    """Acts for rules, one after the other.

    What fails is repeated, :data:`ATTEMPTS` times in all; what waits when the gateway ends is given up.

    Args:
        gateway_id: Named in each action.

    Attributes:
        done: Actions that somebody took.
        given_up: Actions that nobody took.
    """

    def __init__(self, gateway_id: str) -> None:
        self._gateway_id = gateway_id
        self._waiting: asyncio.Queue[tuple[_Action, RuleSettings, dict[str, Any]]] = asyncio.Queue(MOST_WAITING)
        self.done = 0
        self.given_up = 0

    def fire(self, firing: Firing, device_id: bytes) -> None:
        """Take what a rule wants; returns at once."""
        rule = firing.rule
        log.info("rule acts rule=%s device=%s seq=%d", rule.name, device_id.hex(), firing.body["seq"])
        body = {"version": 1, "gateway_id": self._gateway_id, "device_id": device_id.hex(), **firing.body}
        for is_wanted, action in ((rule.webhook, _call), (rule.mqtt, _publish)):
            if is_wanted is None:
                continue
            try:
                self._waiting.put_nowait((action, rule, body))
            except asyncio.QueueFull:
                self.given_up += 1
                log.error("action given up rule=%s error=%d wait already", rule.name, MOST_WAITING)

    async def run(self) -> None:
        """Act until cancelled."""
        while True:
            await self._act(*await self._waiting.get())

    async def _act(self, action: _Action, rule: RuleSettings, body: dict[str, Any]) -> None:
        backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with asyncio.timeout(rule.timeout_s):
                    await action(rule, body)
                self.done += 1
                return
            except TimeoutError:
                error = f"no answer within {rule.timeout_s:g} s"
            except (httpx.HTTPError, TinyfleetError) as failure:
                error = str(failure) or type(failure).__name__
            if attempt < ATTEMPTS:
                await asyncio.sleep(backoff.next_s())
        self.given_up += 1
        log.error("action given up rule=%s attempts=%d error=%s", rule.name, ATTEMPTS, error)


async def _call(rule: RuleSettings, body: dict[str, Any]) -> None:
    assert rule.webhook is not None
    async with httpx.AsyncClient(follow_redirects=False, timeout=None) as client:
        (await client.post(rule.webhook, json=body)).raise_for_status()


async def _publish(rule: RuleSettings, body: dict[str, Any]) -> None:
    from tinyfleet.mqtt import MqttEndpoint, connect  # noqa: PLC0415 (an optional extra)

    assert rule.mqtt is not None and rule.topic is not None
    host, port, _ = mqtt_address(rule.mqtt)
    endpoint = MqttEndpoint(host, port, timeout_s=rule.timeout_s)
    connection = await connect(endpoint, client_id=f"{body['gateway_id']}-rules")
    try:
        await connection.publish(rule.topic, json.dumps(body).encode())
    finally:
        await connection.close()
