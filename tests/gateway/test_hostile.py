"""Devices, peers and sinks that misbehave: nobody else waits for them, nothing is lost by them, and the gateway ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import running_cloud, running_gateway, wait_until, write_config
from tests.gateway.sinks.opcua_peer import UaFleet
from tests.host.peer import tcp_peer
from tests.support.patience import HANG_S, with_patience
from tinyfleet.demo.reserved_port import ReservedPort
from tinyfleet.gateway import Outbox
from tinyfleet.gateway.clock import ClockSample, DeviceClock
from tinyfleet.gateway.outbox import PulledRecord
from tinyfleet.gateway.sender import Sender
from tinyfleet.gateway.sinks.sink import Delivered
from tinyfleet.gateway.status import SinkStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.telemetry import Batch
from tinyfleet_codegen.wire.record import decode_record


class _TimeTraveller(FakeBoard):
    """Its records say that they were made ten million years after its start."""

    def produce(self, count: int, salt: int = 0) -> None:
        super().produce(count, salt)
        for index, (seq, data) in enumerate(self._ring):
            record = decode_record(data)
            changed = type(record)(**{n: getattr(record, n) for n in record.__slots__} | {"uptime_us": 2**62}).encode()
            self._ring[index] = (seq, changed)
            self.history[self.boot_id, seq] = changed


async def test_records_of_an_impossible_time_arrive_without_one_and_keep_nobody_waiting(tmp_path: Path) -> None:
    traveller, board = _TimeTraveller(), FakeBoard()
    traveller.produce(5)
    async with tcp_peer(traveller) as (first, _), tcp_peer(board) as (second, _), running_cloud(tmp_path / "cloud") as cloud:
        async with running_gateway(write_config(tmp_path, [first, second], cloud.url)):
            await wait_until(lambda: cloud.has(stored=5), "the records of the traveller")
            board.produce(20)
            await wait_until(lambda: cloud.has(stored=25), "the records of the other board")
        times = {r["device_id"]: r["time_utc"] for r in await cloud.records()}
    assert times[traveller.device_id.hex()] is None and times[board.device_id.hex()] is not None


@pytest.mark.parametrize("uptime_us", [0, 2**53, 2**62, 2**64 - 1])
def test_a_clock_says_only_times_that_can_be_written(uptime_us: int) -> None:
    clock = DeviceClock(200)
    clock.add(ClockSample(1_000_000, 1_767_225_600_000_000, 100))
    for moment in (clock.to_utc(uptime_us), clock.to_utc(5_000_000)):
        assert moment is None or (0 <= moment[0] < 253_402_300_800_000_000 and 0 <= moment[1] < 2**63), moment
    assert clock.to_utc(5_000_000) is not None


class _Chokes:
    """A sink that cannot write one of the records."""

    name = "chokes"

    def __init__(self, poison: int) -> None:
        self.poison = poison
        self.taken: list[int] = []

    async def deliver(self, batch: Batch) -> Delivered:
        entries = [e.entry for e in batch.envelopes]
        if self.poison in entries:
            raise OverflowError("no such number")
        self.taken += entries
        return Delivered(frozenset(entries))

    async def close(self) -> None:
        pass


async def test_record_that_no_sink_can_write_is_put_aside_and_those_behind_it_go_on(tmp_path: Path) -> None:
    store = StoreThread(Outbox(tmp_path / "outbox.db", gateway_id="gw"))
    records = [PulledRecord(seq, b"x" * 40, None, None, None) for seq in range(40)]
    try:
        await store.call(lambda outbox: outbox.append(bytes(16), 1, records, since=0, next_seq=40, lost=0))
        first = (await store.call(lambda outbox: outbox.batch("http", 1, 100))).envelopes[0].entry
        sink = _Chokes(first + 17)
        sender = Sender("http", sink, store, SinkStatus("http", "chokes"), batch_records=16, retry_max_s=0.05)
        running = asyncio.create_task(sender.run())
        await wait_until(lambda: len(sink.taken) >= 39, "all records but one")
        depth = await store.call(lambda outbox: outbox.depth())
        sender.stop()
        await running
    finally:
        store.close()
    assert sink.taken == [first + n for n in range(40) if n != 17]
    assert (depth.waiting, depth.refused) == (0, 1)


@asynccontextmanager
async def silent_listener() -> AsyncIterator[int]:
    """Takes connections and never says a word."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()


async def test_gateway_ends_in_time_though_every_peer_is_silent(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(50)
    ua = UaFleet.make(tmp_path)

    async def attempt(patience: float) -> None:
        folder = tmp_path / f"{patience:g}"
        folder.mkdir()
        with ReservedPort() as port:
            async with (
                tcp_peer(board) as (url, _),
                silent_listener() as hole,
                running_gateway(_with_every_sink(folder, url, ua, hole, port.number)) as gateway,
            ):
                mute = await until_connected(port.number)
                began_s = time.monotonic()
                code = await gateway.stop()
                took_s = time.monotonic() - began_s
                mute.close()
        assert code == 0 and took_s < 10.0 * patience, (code, took_s)

    await with_patience(attempt)


def _with_every_sink(folder: Path, url: str, ua: UaFleet, hole: int, port: int) -> Path:
    long = "timeout_s = 600.0\n"
    config = write_config(folder, [url], f"http://127.0.0.1:{hole}")
    text = re.sub("timeout_s = [0-9.]+\n", long, config.read_text(encoding="utf-8")).replace("version = 1", "version = 2")
    text = text.replace("timeout_s = 600.0\npoll_s", "timeout_s = 5.0\npoll_s")
    for kind, scheme in (("mqtt", "mqtt"), ("kafka", "kafka"), ("aws_iot", "mqtts"), ("sparkplug_b", "mqtt")):
        text = text.replace("[outbox]", f'[[sink]]\ntype = "{kind}"\nurl = "{scheme}://127.0.0.1:{hole}"\n{long}\n[outbox]')
    opcua = f'cert_file = "{ua.server.certificate}"\nkey_file = "{ua.server.key}"\nclient_ca_file = "{ua.ca}"\n'
    text = text.replace("[outbox]", f'[[sink]]\ntype = "opcua"\nurl = "opc.tcp://127.0.0.1:{port}"\n{opcua}\n[outbox]')
    text = text.replace("[outbox]", f'[[device]]\nurl = "tcp://127.0.0.1:{hole}"\ntimeout_s = 120.0\n[outbox]')
    config.write_text(text, encoding="utf-8")
    return config


async def until_connected(port: int) -> asyncio.StreamWriter:
    async with asyncio.timeout(HANG_S):
        while True:
            with contextlib.suppress(OSError):
                return (await asyncio.open_connection("127.0.0.1", port))[1]
            await asyncio.sleep(0.05)
