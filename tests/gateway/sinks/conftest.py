"""Peers that all tests of sinks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.sinks.peers import Fleet, start_broker
from tinyfleet.demo.broker import Broker
from tinyfleet.demo.kafka_broker import start_kafka
from tinyfleet.demo.process import Process


@pytest.fixture(scope="session")
def broker_process(tmp_path_factory: pytest.TempPathFactory, fleet: Fleet) -> Iterator[Broker]:
    """mosquitto."""
    with start_broker(tmp_path_factory.mktemp("broker") / "data", fleet) as broker:
        yield broker


@pytest.fixture
def broker(broker_process: Broker) -> Broker:
    """mosquitto, running also after a test that stopped it."""
    if not broker_process.is_running():
        broker_process.start()
    return broker_process


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """librdkafka's mock cluster."""
    process = start_kafka(tmp_path_factory.mktemp("kafka") / "kafka.log")
    yield process
    process.stop()
