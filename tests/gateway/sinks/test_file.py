"""Files in particular: kills, torn lines, full disks, names, Parquet, and the way into a cloud."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import multiprocessing
import os
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.gateway.sinks.batches import Source, context, entries
from tests.gateway.sinks.file_writer import BATCH, write_files
from tests.gateway.sinks.peers import GATEWAY, LocalCloud, local_cloud
from tests.gateway.sinks.test_contract import identities
from tests.support.patience import HANG_S
from tinyfleet.cloud.ingest import find_source
from tinyfleet.cloud.ingest.forward import Forwarder
from tinyfleet.cloud.ingest.source import Credentials
from tinyfleet.gateway.sinks.file import PART, FileSink, FileSinkSettings, read_events
from tinyfleet.gateway.sinks.sink import Delivered
from tinyfleet_codegen.errors import ConfigError, SinkError

SEED = int(os.environ.get("TINYFLEET_TEST_SEED", "20260131"))
FORMATS = pytest.mark.parametrize("file_format", ["jsonl", "parquet"])


def open_sink(folder: Path, **changes: Any) -> FileSink:
    return FileSinkSettings.model_validate({"type": "file", "folder": "out"} | changes).open(context(folder, GATEWAY))


def files(folder: Path) -> list[Path]:
    return sorted((folder / "out").glob("gw*"))


def entries_in(folder: Path) -> list[int]:
    return [event["data"]["entry"] for path in files(folder) for event in read_events(path)]


async def ingest(url: str, cloud: LocalCloud) -> dict[str, Any]:
    async with Forwarder(cloud.url, token=None) as forwarder:
        facts = await find_source(url)(url, Credentials(), forwarder, lambda: None)
    assert facts is not None
    return facts


@FORMATS
def test_sigkill_loses_and_doubles_nothing(tmp_path: Path, file_format: str) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    processes = multiprocessing.get_context("forkserver")  # it imports once, and forks what is killed
    processes.set_forkserver_preload(["tests.gateway.sinks.file_writer"])
    accepted = 0
    for _ in range(5):
        heard, tell = processes.Pipe(duplex=False)
        writer = processes.Process(target=write_files, args=(tmp_path, accepted, file_format, tell))
        writer.start()
        tell.close()
        for _ in range(rng.randint(3, 25)):
            accepted = heard.recv()
        writer.kill()
        writer.join(HANG_S)
        # What it said before it died counts too.
        with contextlib.suppress(EOFError):
            while True:
                accepted = heard.recv()
    found = entries_in(tmp_path)
    assert found[:accepted] == list(range(1, accepted + 1))
    assert len(found) == len(set(found)) <= accepted + BATCH


async def test_torn_line_is_cut_and_what_is_whole_is_not_written_twice(tmp_path: Path) -> None:
    source = Source(GATEWAY)
    sink = open_sink(tmp_path)
    batch = source.batch(5)
    await sink.deliver(batch)
    await sink.close()
    (part,) = files(tmp_path)
    for torn in (b'{"specversion": "1.0", "da', b"\0" * 100, b'{"data": 1}\n'):
        whole = part.read_bytes()
        part.write_bytes(whole + torn)
        again = open_sink(tmp_path)
        assert await again.deliver(batch) == Delivered(entries(batch))
        await again.close()
        assert part.read_bytes() == whole


async def test_file_damaged_inside_is_put_aside_and_stays_readable(tmp_path: Path) -> None:
    source = Source(GATEWAY)
    sink = open_sink(tmp_path)
    batch = source.batch(5)
    await sink.deliver(batch)
    await sink.close()
    (part,) = files(tmp_path)
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join([*lines[:2], b"\0" * 20 + b"\n", *lines[3:]]))
    again = open_sink(tmp_path)
    assert await again.deliver(batch) == Delivered(entries(batch))
    await again.close()
    assert [p.name.split(".", 1)[1] for p in files(tmp_path)] == ["damaged.jsonl", f"jsonl{PART}"]
    assert sorted(entries_in(tmp_path)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("failing", ["write", "fsync", "fsync and truncate"])
async def test_full_disk_is_said_and_nothing_of_it_is_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    source = Source(GATEWAY)
    sink = open_sink(tmp_path)
    await sink.deliver(source.batch(5))
    batch = source.batch(5)

    def half(file: int, data: memoryview) -> int:
        if len(data) < 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data[: len(data) // 2])

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    write = os.write
    with monkeypatch.context() as faults:
        if failing == "write":
            faults.setattr(os, "write", half)
        else:
            faults.setattr(os, "fsync", fail)
        if failing == "fsync and truncate":
            faults.setattr(os, "truncate", fail)
        for _ in range(2):
            with pytest.raises(SinkError, match=r"cannot write in .*out: (No space left|Input/output error)") as error:
                await sink.deliver(batch)
            assert error.value.hint == "is the disk full, or gone?"
    assert await sink.deliver(batch) == Delivered(entries(batch))
    await sink.close()
    assert entries_in(tmp_path) == list(range(1, 11))


@FORMATS
async def test_numbers_go_on_when_finished_files_are_taken_away(tmp_path: Path, file_format: str) -> None:
    source = Source(GATEWAY)
    taken: list[int] = []
    for _ in range(3):
        sink = open_sink(tmp_path, format=file_format, max_file_bytes=4096)
        for _ in range(4):
            await sink.deliver(source.batch(6))
        await sink.close()
        for path in files(tmp_path):
            if not path.name.endswith(PART):
                assert path.suffix == f".{file_format}"
                taken += [event["data"]["entry"] for event in read_events(path)]
                path.rename(tmp_path / path.name)
    assert len(taken) > 50
    assert taken + entries_in(tmp_path) == list(range(1, 73))


async def test_old_file_is_finished_without_a_further_delivery(tmp_path: Path) -> None:
    sink = open_sink(tmp_path, max_file_s=0.2)
    await sink.deliver(Source(GATEWAY).batch(3))
    async with asyncio.timeout(HANG_S):
        while not any(path.suffix == ".jsonl" for path in files(tmp_path)):  # noqa: ASYNC110 - a folder changes
            await asyncio.sleep(0.02)
    await sink.close()
    assert entries_in(tmp_path) == [1, 2, 3]


@FORMATS
async def test_import_brings_every_event_once_however_often_it_is_done(tmp_path: Path, file_format: str) -> None:
    source = Source(GATEWAY, devices=2)
    sink = open_sink(tmp_path, format=file_format, max_file_bytes=30_000)
    for count in (100, 100, 1):
        await sink.deliver(source.batch(count, derived=1, reports=[source.report(count)]))
    await sink.close()
    folder = (tmp_path / "out").as_uri()
    async with local_cloud(tmp_path / "cloud") as cloud:
        first = await ingest(folder, cloud)
        assert (first["files"], first["unfinished"], first["stored"], first["derived"]) == (2, 1, 200, 2)
        again = await ingest(str(tmp_path / "out"), cloud)
        assert (again["stored"], again["derived"], again["redelivered"], again["duplicated"]) == (0, 0, 202, 0)
        rows = [(r.envelope.identity.device_id.hex(), r.envelope.identity.seq) for r in cloud.store.records(limit=1000)]
        assert rows == identities(source)[:200]
        assert cloud.store.totals()["lost"] == 100


async def test_import_of_nothing_is_an_error(tmp_path: Path) -> None:
    async with Forwarder("http://127.0.0.1:1", token=None) as forwarder:
        for url in (str(tmp_path), str(tmp_path / "absent")):
            with pytest.raises(ConfigError, match="no files of a gateway"):
                await find_source(url)(url, Credentials(), forwarder, lambda: None)
        sink = open_sink(tmp_path, max_file_bytes=4096)
        for _ in range(2):
            await sink.deliver(Source(GATEWAY).batch(10))
        await sink.close()
        with pytest.raises(SinkError, match="cannot deliver"):
            await find_source("file:x")((tmp_path / "out").as_uri(), Credentials(), forwarder, lambda: None)


async def test_parquet_has_a_column_per_field_of_a_record(tmp_path: Path) -> None:
    source = Source(GATEWAY)
    sink = open_sink(tmp_path, format="parquet", max_file_bytes=4096)
    await sink.deliver(source.batch(20, derived=1))
    await sink.deliver(source.batch(1))
    await sink.close()
    table = pq.read_table(next(p for p in files(tmp_path) if p.suffix == ".parquet")).to_pylist()
    assert [row["seq"] for row in table] == [*range(20), None]
    assert table[3]["latency_us"] == 903 and table[3]["device_id"] == source.boards[0].device_id.hex()
