"""What rules do: they call a webhook, with or without a cloud, and never hold up a device."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import httpx

from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.edge.edge import Firing

log = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Calls that wait; more are given up, counted and logged. The detection is in the outbox in any case."""
ATTEMPTS = 5
RETRY_FIRST_S = 0.25
RETRY_LIMIT_S = 10.0


class Webhooks:
    """Calls webhooks one after the other.

    A call that is not answered with a 2xx is repeated, :data:`ATTEMPTS` times in all; what waits when the gateway ends is given up.

    Args:
        gateway_id: Named in each call.

    Attributes:
        called: Calls that were answered.
        given_up: Calls that nobody took.
    """

    def __init__(self, gateway_id: str) -> None:
        self._gateway_id = gateway_id
        self._waiting: asyncio.Queue[tuple[Firing, bytes]] = asyncio.Queue(MOST_WAITING)
        self.called = 0
        self.given_up = 0

    def fire(self, firing: Firing, device_id: bytes) -> None:
        """Take a call; returns at once."""
        log.info("rule acts rule=%s device=%s seq=%d", firing.rule.name, device_id.hex(), firing.body["seq"])
        if firing.rule.webhook is None:
            return
        try:
            self._waiting.put_nowait((firing, device_id))
        except asyncio.QueueFull:
            self.given_up += 1
            log.error("webhook given up rule=%s error=%d calls wait already", firing.rule.name, MOST_WAITING)

    async def run(self) -> None:
        """Call until cancelled."""
        async with httpx.AsyncClient(follow_redirects=False) as client:
            while True:
                firing, device_id = await self._waiting.get()
                await self._call(client, firing, device_id)

    async def _call(self, client: httpx.AsyncClient, firing: Firing, device_id: bytes) -> None:
        rule = firing.rule
        assert rule.webhook is not None
        backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
        body = {"version": 1, "gateway_id": self._gateway_id, "device_id": device_id.hex(), **firing.body}
        error = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(backoff.next_s())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rule.webhook_timeout_s):
                    try:
                        answer = await client.post(rule.webhook, json=body, timeout=None)
                    except httpx.HTTPError as failure:
                        error = f"{type(failure).__name__}: {failure}"
                        continue
                if answer.is_success:
                    self.called += 1
                    return
                error = f"status {answer.status_code}"
                continue
            error = f"no answer within {rule.webhook_timeout_s:g} s"
        self.given_up += 1
        log.error("webhook given up rule=%s attempts=%d error=%s", rule.name, ATTEMPTS, error)
