"""A Kafka broker for demos and tests: librdkafka's own mock cluster, in a process of its own.

It speaks the real protocol to any client on this machine, and keeps nothing on a disk: about 5 MB a partition, of which it drops the oldest
without a word. Neither TLS, nor retention, nor a restart can be tried with it::

    python -m tinyfleet.demo.kafka_broker     # prints {"bootstrap": "127.0.0.1:40123"} and runs until it is stopped
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from tinyfleet.demo.process import Process


def start_kafka(log_path: Path) -> Process:
    """Start one; its fact ``bootstrap`` says where it is.

    Raises:
        SetupError: it did not start.
    """
    return Process.start("kafka", [], log_path, program=(sys.executable, "-m", "tinyfleet.demo.kafka_broker"))


def main() -> None:
    """Start a cluster of one broker and say where it is."""
    from confluent_kafka import Producer  # noqa: PLC0415 (an optional extra)

    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    sys.stdout.write(json.dumps({"bootstrap": ",".join(f"{b.host}:{b.port}" for b in brokers)}) + "\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
