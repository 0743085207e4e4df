"""HTTP in particular: who is refused, when it comes back, what it sends to a cloud that struggles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.sinks.batches import Source, context, entries
from tests.gateway.sinks.peers import GATEWAY, Fleet, local_cloud
from tests.gateway.sinks.rigs import Bench, HttpRig, http_rig, nothing
from tests.support.patience import HANG_S
from tinyfleet.cloud_events import Encoding
from tinyfleet.gateway.sinks.http import OPEN_AFTER, HttpSink, HttpSinkSettings
from tinyfleet.gateway.sinks.sink import BatchTooLarge, Delivered, RetryLater
from tinyfleet_codegen.errors import ConfigError, SinkError


@pytest.fixture
async def rig(fleet: Fleet, tmp_path: Path) -> AsyncIterator[HttpRig]:
    async with http_rig(Bench(tmp_path, fleet, nothing, nothing)) as made:
        assert isinstance(made, HttpRig)
        yield made


@pytest.mark.parametrize("encoding", list(Encoding))
async def test_both_encodings_packed_or_not_arrive(rig: HttpRig, encoding: Encoding) -> None:
    source = Source(GATEWAY, devices=2)
    for pack in (False, True):
        sink = rig.open(encoding=encoding.value, gzip=pack)
        batch = source.batch(100, derived=1)
        assert await sink.deliver(batch) == Delivered(entries(batch))
        await sink.close()
    plain, packed = rig.cloud.bodies
    assert packed * 8 < plain
    assert len(await rig.received()) == 200


@pytest.mark.parametrize("who", ["nobody", "wrong authority", "expired", "of a cloud that is not ours"])
async def test_who_has_no_valid_certificate_is_refused(rig: HttpRig, who: str) -> None:
    fleet = rig.fleet
    changes: dict[str, Any] = {
        "nobody": {"cert_file": None, "key_file": None},
        "wrong authority": {"identity": fleet.foreign},
        "expired": {"identity": fleet.expired},
        "of a cloud that is not ours": {"ca_file": str(fleet.foreign_ca)},
    }[who]
    sink = rig.open(**changes)
    with pytest.raises(SinkError, match="cannot deliver"):
        await sink.deliver(Source(GATEWAY).batch(3))
    await sink.close()
    assert await rig.received() == []


async def test_cloud_says_when_to_come_back(rig: HttpRig) -> None:
    sink = rig.open()
    batch = Source(GATEWAY).batch(3)
    for status, text, seconds in ((503, b"7", 7), (429, b"0", 0), (507, b"999999", 3600)):
        rig.cloud.status, rig.cloud.headers = status, {b"retry-after": text}
        with pytest.raises(RetryLater) as wait:
            await sink.deliver(batch)
        assert wait.value.seconds == seconds
    for status, text in ((503, b"soon"), (500, b"7"), (404, b""), (401, b"")):
        rig.cloud.status, rig.cloud.headers = status, {b"retry-after": text}
        with pytest.raises(SinkError, match=f"answered {status}"):
            await sink.deliver(batch)
    rig.cloud.status = 413
    again = rig.open()
    with pytest.raises(BatchTooLarge):
        await again.deliver(batch)
    await again.close()
    await sink.close()


async def test_200_without_an_acknowledgement_is_not_believed(rig: HttpRig) -> None:
    sink = rig.open()
    rig.cloud.status = 200
    with pytest.raises(SinkError, match="without an acknowledgement"):
        await sink.deliver(Source(GATEWAY).batch(3))
    await sink.close()


async def test_open_circuit_offers_an_empty_batch_until_it_is_taken(rig: HttpRig) -> None:
    sink = rig.open(gzip=False)
    assert isinstance(sink, HttpSink)
    batch = Source(GATEWAY).batch(200)
    rig.cloud.status = 500
    for _ in range(OPEN_AFTER + 3):
        assert not sink.is_open or len(rig.cloud.bodies) >= OPEN_AFTER
        with contextlib.suppress(SinkError):
            await sink.deliver(batch)
    assert sink.is_open
    assert all(size > 10_000 for size in rig.cloud.bodies[:OPEN_AFTER]) and rig.cloud.bodies[OPEN_AFTER:] == [2, 2, 2]
    rig.cloud.status = None
    assert await sink.deliver(batch) == Delivered(entries(batch))
    assert not sink.is_open
    assert rig.cloud.bodies[-2] == 2 and rig.cloud.bodies[-1] > 10_000
    await sink.close()


async def test_cloud_that_trickles_its_answer_is_given_up(tmp_path: Path) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(100)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    sink = HttpSinkSettings(type="http", url=url, timeout_s=0.5).open(context(tmp_path, GATEWAY))
    async with asyncio.timeout(HANG_S):
        with pytest.raises(SinkError, match="cannot deliver"):
            await sink.deliver(Source(GATEWAY).batch(1))
    await sink.close()
    server.close()


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"key_file": None}, "key_file: missing"),
        ({"url": "http://localhost:1"}, "allowed: https://"),
        ({"token_file": "a", "token_env": "B"}, "not together with token_file"),
    ],
)
async def test_keys_that_contradict_each_other_are_named(rig: HttpRig, changes: dict[str, Any], finding: str) -> None:
    assert finding in str(rig.settings(**changes).problem())


@pytest.mark.parametrize("name", ["ca_file", "cert_file", "key_file"])
async def test_file_that_is_no_pem_is_named(rig: HttpRig, name: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("this is no key", encoding="utf-8")
    for path in (wrong, tmp_path / "absent.pem"):
        with pytest.raises(ConfigError, match=path.name):
            rig.open(**{name: str(path)})


async def test_plain_http_needs_no_certificates(tmp_path: Path) -> None:
    async with local_cloud(tmp_path) as cloud:
        sink = HttpSinkSettings(type="http", url=cloud.url).open(context(tmp_path, GATEWAY))
        batch = Source(GATEWAY).batch(3)
        assert await sink.deliver(batch) == Delivered(entries(batch))
        await sink.close()
