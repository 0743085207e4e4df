"""What lies between the demo's gateway and its cloud, per kind of sink: nothing, or a broker and an ingest behind it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from tinyfleet.demo.broker import Broker
from tinyfleet.demo.kafka_broker import start_kafka
from tinyfleet.demo.pki import DemoPki, make_pki
from tinyfleet.demo.process import Process
from tinyfleet.demo.reserved_port import ReservedPort

SINKS = ("http", "mqtt", "kafka", "opcua")


class Route:
    """One way; what it started ends with ``processes``.

    Args:
        sink: One of :data:`SINKS`.
        folder: For the data of a broker, new.
        logs: For logs.
        processes: Takes what must be stopped.
        start: Starts a ``tinyfleet`` command that announces itself: (name, words).
    """

    def __init__(
        self, sink: str, *, folder: Path, logs: Path, processes: contextlib.ExitStack, start: Callable[[str, list[str]], Process]
    ) -> None:
        self._sink = sink
        self._start = start
        self._cloud_url = ""
        self._source = ""
        self._pki: DemoPki | None = None
        if sink == "mqtt":
            self._source = processes.enter_context(Broker(folder / "broker")).url
        elif sink == "kafka":
            kafka = start_kafka(logs / "kafka.log")
            processes.callback(kafka.stop)
            self._source = f"kafka://{kafka.facts['bootstrap']}"
        elif sink == "opcua":
            self._pki = make_pki(folder / "pki")
            self._source = f"opc.tcp://127.0.0.1:{processes.enter_context(ReservedPort()).number}"

    @property
    def is_answered(self) -> bool:
        """Whether a gateway on this way learns what the cloud has."""
        return self._sink in ("http", "mqtt")

    def reach(self, cloud_url: str) -> None:
        """The cloud is there; bring to it what comes this way."""
        self._cloud_url = cloud_url
        if self._source:
            words = ["cloud", "ingest", "--from", self._source, "--to", cloud_url]
            if self._pki is not None:
                words += ["--ca", str(self._pki.ca), "--cert", str(self._pki.reader), "--key", str(self._pki.reader_key)]
            self._start("ingest", words)

    def table(self) -> str:
        """The gateway's ``[[sink]]``."""
        keys: dict[str, str | float | bool] = {"type": self._sink, "retry_max_s": 0.5, "url": self._source or self._cloud_url}
        if self._sink == "mqtt":
            keys["timeout_s"] = 2.0
        elif self._sink == "kafka":
            keys["hold"] = True
        elif self._pki is not None:
            keys |= {"cert_file": str(self._pki.server), "key_file": str(self._pki.server_key), "client_ca_file": str(self._pki.ca)}
        # JSON's strings, numbers and booleans are TOML's.
        return "[[sink]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
