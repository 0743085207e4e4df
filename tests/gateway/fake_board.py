"""A board made of Python that keeps a telemetry ring and answers as ``docs/spec/wire.md`` says."""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from typing import Any

from smp.header import OP

from tests.host.peer import Handler, PythonBoard
from tinyfleet_codegen.wire.ids import Command, DType, SmpGroup
from tinyfleet_codegen.wire.record import Record

REPLY_RECORD_BYTES = 1800
MODEL_ID = hashlib.sha256(b"model of the fake board").digest()
LABELS = ("rest", "wave", "circle", "tap", "shake", "tilt")


class FakeBoard(PythonBoard):
    """Makes records when told to.

    Args:
        device_id: Its identity; None: a random one.
        ring_records: How many records it keeps.

    Attributes:
        produced: Records made in this boot: the board's own counter.
        history: Every record that it ever made, by (boot_id, seq).
    """

    def __init__(self, device_id: bytes | None = None, ring_records: int = 100_000) -> None:
        super().__init__()
        self.device_id = device_id or secrets.token_bytes(16)
        self.boot_id = 1
        self.produced = 0
        self.history: dict[tuple[int, int], bytes] = {}
        self.model_id = MODEL_ID
        self.generation = 1
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=ring_records)
        self._answer_to(Command.HELLO, self._hello)
        self._answer_to(Command.MODEL_INFO, self._model_info)
        self._answer_to(Command.RESULTS, self._results)

    def _answer_to(self, command: Command, handler: Handler) -> None:
        self.handlers[(OP.READ, int(SmpGroup.TINYFLEET), int(command))] = handler

    @property
    def uptime_us(self) -> int:
        """A clock that runs with the records: 100 ms each."""
        return 1_000_000 + self.produced * 100_000

    def produce(self, count: int, salt: int = 0) -> None:
        """Make records; their bytes follow from device, boot, seq and salt. tests/fixtures/v1 relies on how."""
        for seq in range(self.produced, self.produced + count):
            text = f"{self.device_id.hex()}/{self.boot_id}/{seq}/{salt}"
            output = hashlib.sha256(text.encode()).digest()[: len(LABELS)]
            top = max(range(len(output)), key=lambda i: (int.from_bytes(output[i : i + 1], signed=True), -i))
            record = Record(
                boot_id=self.boot_id,
                seq=seq,
                stream=1,
                sample_index=seq * 25,
                latency_us=900 + seq % 50,
                uptime_us=1_000_000 + seq * 100_000,
                model_generation=self.generation,
                top=top,
                output=output,
            ).encode()
            self.history[self.boot_id, seq] = record
            self._ring.append((seq, record))
        self.produced += count

    def restart(self) -> None:
        """Power off and on: the ring is gone, the boot counter is one higher."""
        self.boot_id += 1
        self.produced = 0
        self._ring.clear()

    def _hello(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {
            "proto_min": 1,
            "proto_max": 1,
            "device_id": self.device_id,
            "boot_id": self.boot_id,
            "board": "fake",
            "app": "fake 1",
            "uptime_us": self.uptime_us,
        }

    def _model_info(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {
            "model_id": self.model_id,
            "generation": self.generation,
            "name": "gesture",
            "arena_bytes": 1024,
            "input_bytes": 600,
            "output_bytes": len(LABELS),
            "input_dtype": int(DType.INT8),
            "output_dtype": int(DType.INT8),
            "layers": 5,
            "channels": 6,
            "window_samples": 100,
            "hop_samples": 25,
        }

    def _results(self, request: dict[str, Any]) -> dict[str, Any]:
        since, limit = request["since"], request["max"]
        oldest = self._ring[0][0] if self._ring else self.produced
        start = min(max(since, oldest), self.produced)
        records = b""
        count = 0
        for seq, record in self._ring:
            if seq >= start and count < limit and len(records) + len(record) <= REPLY_RECORD_BYTES:
                records += record
                count += 1
            elif seq >= start:
                break
        return {
            "boot_id": self.boot_id,
            "device_id": self.device_id,
            "next": start + count,
            "lost": max(0, start - since),
            "records": records,
        }
