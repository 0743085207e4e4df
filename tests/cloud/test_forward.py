"""From an ingest to a cloud that is too small for it, lies, never ends or says too much."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.sinks.batches import Source
from tests.gateway.sinks.peers import GATEWAY, local_cloud
from tinyfleet.cloud.ingest.forward import Forwarder
from tinyfleet.cloud.ingest.opcua import _Reader
from tinyfleet.cloud_events import Encoding, encode_event, envelope_event
from tinyfleet_codegen.errors import SinkError


def events(source: Source, count: int, *, body_bytes: int = 0) -> list[str]:
    """Records, or derived ones of that size."""
    texts = []
    for envelope in source.batch(0, derived=count).envelopes if body_bytes else source.batch(count).envelopes:
        event = envelope_event(envelope, Encoding.JSON)
        if body_bytes:
            event["data"]["body"] = {"x": "y" * body_bytes}
        texts.append(encode_event(event, Encoding.JSON).decode())
    return texts


async def test_events_from_opc_ua_that_are_too_many_for_one_request_all_arrive(tmp_path: Path) -> None:
    source = Source(GATEWAY)
    device = source.boards[0].device_id.hex()
    async with local_cloud(tmp_path / "cloud") as cloud, Forwarder(cloud.url, token=None) as forwarder:
        reader = _Reader(forwarder)
        values = [(device, text) for text in events(source, 25, body_bytes=200_000)]
        await reader._forward(values)
        assert cloud.store.totals()["derived"] == 25


async def test_value_that_is_no_event_does_not_take_others_with_it(tmp_path: Path) -> None:
    source = Source(GATEWAY)
    device = source.boards[0].device_id.hex()
    async with local_cloud(tmp_path / "cloud") as cloud, Forwarder(cloud.url, token=None) as forwarder:
        reader = _Reader(forwarder)
        good = [(device, text) for text in events(source, 4)]
        bad = [(device, text) for text in ("{", "", "null", "[]", '{"data": 5}', '{"data": {"boot_id": "x", "seq": []}}', "[" * 5000)]
        await reader._forward([*good[:2], *bad, *good[2:]])
        assert cloud.store.totals()["stored"] == 4


@asynccontextmanager
async def server(answers: list[bytes]) -> AsyncIterator[str]:
    """Gives these answers, the last of them again and again."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(answers.pop(0) if len(answers) > 1 else answers[0])
        await writer.drain()
        if answers[0].endswith(b"trickle"):
            while True:
                writer.write(b" ")
                await asyncio.sleep(0.05)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def answer(**keys: object) -> bytes:
    body = json.dumps({"version": 1, **keys}).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def test_cloud_that_answers_for_fewer_events_than_it_got_is_asked_again(tmp_path: Path) -> None:
    texts = [text.encode() for text in events(Source(GATEWAY), 3)]
    answers = [
        answer(acknowledged=[]),
        answer(acknowledged=[], stored=2),
        answer(refused=[]),
        answer(acknowledged=[], stored=2, refused=[{}]),
    ]
    async with server(answers) as url, Forwarder(url, token=None) as forwarder:
        await forwarder.post_all(texts, Encoding.JSON, source="a test")
    assert len(answers) == 1


@pytest.mark.parametrize("end", [b"trickle", b"x" * 3_000_000])
async def test_answer_that_never_ends_is_given_up(end: bytes) -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + end
    async with server([endless]) as url, Forwarder(url, token=None, timeout_s=1.0) as forwarder:
        began_s = time.monotonic()
        with pytest.raises(SinkError):
            await forwarder.post(b"[]", Encoding.JSON)
        assert time.monotonic() - began_s < 60
