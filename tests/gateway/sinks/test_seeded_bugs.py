"""The tests of sinks, tested: each of these bugs must be seen by what the contract looks at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.sinks.batches import Source
from tests.gateway.sinks.peers import GATEWAY, Fleet
from tests.gateway.sinks.rigs import IMPATIENCE_S, Bench, file_rig, mqtt_rig, nothing
from tests.gateway.sinks.test_contract import identities
from tests.support.patience import HANG_S
from tinyfleet.demo.broker import Broker
from tinyfleet.gateway.sinks.file import _Files
from tinyfleet.gateway.sinks.mqtt import MqttSink
from tinyfleet.telemetry import TELEMETRY_VERSION


@pytest.mark.parametrize("is_broken", [False, True])
async def test_sink_that_believes_a_broker_is_seen(
    broker: Broker, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    async def believe(self: MqttSink, connection: Any, messages: Sequence[Any]) -> list[bytes]:
        for message in messages:
            await connection.publish(message.topic, message.payload)
        stored = [[{"outbox_id": e.outbox_id.hex(), "first": e.entry, "last": e.entry} for e in message.envelopes] for message in messages]
        return [json.dumps({"version": TELEMETRY_VERSION, "acknowledged": ranges}).encode() for ranges in stored]

    if is_broken:
        monkeypatch.setattr(MqttSink, "_exchange", believe)
    async with mqtt_rig(Bench(tmp_path, fleet, lambda: broker, nothing)) as rig:
        source = Source(GATEWAY)
        sink = rig.open(timeout_s=HANG_S if is_broken else IMPATIENCE_S)
        rig.cloud.status = 500  # the broker takes the batch, and the cloud does not
        accepted = 0
        try:
            accepted = len((await sink.deliver(source.batch(5))).accepted)
        except Exception as error:
            assert not is_broken, error
        await sink.close()
        assert (accepted > len(await rig.received())) is is_broken


@pytest.mark.parametrize("bug", ["none", "writes again what it has", "leaves a torn line", "accepts before it is written"])
async def test_file_that_doubles_or_loses_is_seen(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    append = _Files.append

    def forgetful(self: _Files, batch: Any) -> None:
        self._written = frozenset()
        append(self, batch)

    async with file_rig(Bench(tmp_path, fleet, nothing, nothing)) as rig:
        source = Source(GATEWAY)
        sink = rig.open()
        batch = source.batch(5)
        if bug == "writes again what it has":
            monkeypatch.setattr(_Files, "append", forgetful)
        elif bug == "leaves a torn line":
            monkeypatch.setattr(_Files, "_cut", lambda self, path: None)
        elif bug == "accepts before it is written":
            monkeypatch.setattr(_Files, "append", lambda self, batch: None)
        await sink.deliver(batch)
        await sink.deliver(batch)
        await sink.close()
        for path in rig.files():
            path.write_bytes(path.read_bytes() + b'{"specversion": "1.0", "ty')
        again = rig.open()
        await again.deliver(source.batch(5))
        await again.close()
        assert (await rig.received() == identities(source)) is (bug == "none")
