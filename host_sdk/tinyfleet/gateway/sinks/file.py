"""Delivery into files, for sites without a network: one event a line, carried away by people and imported by ``tinyfleet cloud ingest``.

The file that is written ends in ``.part``; every delivery is appended and synced to the disk before it is accepted. A file that is large
or old enough gets its final name in one step, and the next one has begun before that, so that numbers go on also when the finished
files are taken away. After a crash the ``.part`` file is cut after its last whole line, and what it holds is not written twice.

``format = "parquet"`` turns each finished file into Parquet, with a column per field of a record beside the whole event.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tinyfleet.cloud_events import Encoding, batch_events, encode_event
from tinyfleet.gateway.sinks.sink import Delivered, Delivery, SinkContext, SinkSettings
from tinyfleet.new_file import sync_folder
from tinyfleet.telemetry import Batch
from tinyfleet_codegen.errors import SetupError, SinkError

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger(__name__)

PART = ".part"
AGE_CHECK_S = 1.0


class FileSinkSettings(SinkSettings):
    """``[[sink]]`` of type ``file``: a folder."""

    delivery: ClassVar[Delivery] = Delivery.DURABLE

    type: Literal["file"] = Field(description="'file'")
    folder: str = Field(min_length=1, description="a folder, relative to the configuration file; made when it is absent")
    format: Literal["jsonl", "parquet"] = Field(default="jsonl", description="'jsonl' or 'parquet'")
    max_file_bytes: int = Field(
        default=64 * 2**20, ge=2**12, le=2**32, description="a file is finished at this size, 4096 to 2**32; Parquet: before packing"
    )
    max_file_s: float = Field(default=3600.0, ge=0.1, le=10**7, description="a file is finished at this age in seconds, 0.1 to 10000000")

    def describe(self) -> str:
        """See :class:`SinkSettings`."""
        return f"{self.folder}, {self.format}"

    def open(self, context: SinkContext) -> FileSink:
        """See :class:`SinkSettings`."""
        if self.format == "parquet":
            _pyarrow()
        return FileSink(self, context)


class FileSink:
    """One folder.

    Args:
        settings: Its table in the configuration.
        context: The gateway that it belongs to.
    """

    def __init__(self, settings: FileSinkSettings, context: SinkContext) -> None:
        self._folder = context.path(settings.folder)
        self.name = str(self._folder)
        self._settings = settings
        self._files = _Files(self._folder, f"{context.gateway_id}-{context.outbox_id.hex()[:8]}", settings)
        self._turn = asyncio.Lock()
        self._aging: asyncio.Task[None] | None = None

    async def deliver(self, batch: Batch) -> Delivered:
        """See :class:`tinyfleet.gateway.sinks.sink.Sink`."""
        if self._aging is None:
            self._aging = asyncio.create_task(self._finish_old(), name=f"age of files in {self._folder}")
        # Cancelled, the thread still ends its work before the next one has its turn.
        await asyncio.shield(asyncio.ensure_future(self._in_turn(batch)))
        return Delivered(frozenset(e.entry for e in batch.envelopes))

    async def _in_turn(self, batch: Batch | None) -> None:
        async with self._turn:
            try:
                await asyncio.to_thread(self._files.finish_if_due if batch is None else lambda: self._files.append(batch))
            except OSError as error:
                raise SinkError(
                    f"cannot write in {self._folder}: {error.strerror or error}", retryable=True, hint="is the disk full, or gone?"
                ) from error

    async def _finish_old(self) -> None:
        while True:
            await asyncio.sleep(min(AGE_CHECK_S, self._settings.max_file_s))
            try:
                await self._in_turn(None)
            except SinkError as error:
                log.warning("cannot finish a file sink=%s error=%s", self.name, error)

    async def close(self) -> None:
        """Close the file; the next start goes on with it."""
        if self._aging is not None:
            self._aging.cancel()
            await asyncio.gather(self._aging, return_exceptions=True)
            self._aging = None
        async with self._turn:
            await asyncio.to_thread(self._files.close)


class _Files:
    """The files of one outbox in a folder; synchronous."""

    def __init__(self, folder: Path, stem: str, settings: FileSinkSettings) -> None:
        self._folder, self._stem, self._settings = folder, stem, settings
        self._file: int | None = None
        self._number = 0
        self._bytes = 0  # of the file, all of it synced
        self._begun_s = 0.0
        self._written: frozenset[int] = frozenset()  # entries that may be offered again
        self._unfinished: list[int] = []  # numbers of files that are complete and still lack their final name
        self._trusted: dict[Path, int] = {}  # how much of a file was synced when writing it failed

    def append(self, batch: Batch) -> None:
        """Write what is not written yet, and sync it.

        Raises:
            OSError: nothing of it counts.
        """
        if self._file is None:
            self._recover()
        self.finish_if_due()
        assert self._file is not None
        events = batch_events(batch, Encoding.JSON)
        fresh = [e for e in events if e["data"].get("entry") not in self._written]
        data = b"".join(encode_event(event, Encoding.JSON) + b"\n" for event in fresh)
        try:
            _write_all(self._file, data)
            os.fsync(self._file)
        except OSError:
            # After a failed sync what is in the file is not known to be on the disk, so it goes and is written again.
            self._trusted[self._part(self._number)] = self._bytes
            self.close()
            raise
        self._bytes += len(data)
        self._written = frozenset(e.entry for e in batch.envelopes)

    def finish_if_due(self) -> None:
        """Give the file its final name when it is large or old enough.

        Raises:
            OSError: it keeps the name that it has, for now.
        """
        is_large = self._bytes >= self._settings.max_file_bytes
        if self._file is not None and self._bytes and (is_large or time.monotonic() - self._begun_s >= self._settings.max_file_s):
            number = self._number
            self._begin(number + 1)
            self._unfinished.append(number)
        while self._unfinished:
            self._finish(self._unfinished[0])
            self._unfinished.pop(0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _part(self, number: int) -> Path:
        return self._folder / f"{self._stem}-{number:08d}.jsonl{PART}"

    def _begin(self, number: int) -> None:
        """Open a file that is new or was cut to its whole lines."""
        path = self._part(number)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            sync_folder(self._folder)
            size = os.fstat(file).st_size
        except OSError:
            os.close(file)
            raise
        self.close()
        self._file, self._number, self._bytes, self._begun_s = file, number, size, time.monotonic()

    def _finish(self, number: int) -> None:
        part = self._part(number)
        final = part.with_suffix("")
        if self._settings.format == "parquet":
            _write_parquet(part, final.with_suffix(".parquet"))
            part.unlink()
        else:
            part.rename(final)
        sync_folder(self._folder)
        log.info("file finished path=%s", final)

    def _recover(self) -> None:
        """Go on where the last process ended."""
        self._folder.mkdir(parents=True, exist_ok=True)
        numbers = {int(m[1]) for p in self._folder.iterdir() if (m := re.fullmatch(rf"{re.escape(self._stem)}-(\d{{8}})\..*", p.name))}
        parts = sorted(n for n in numbers if self._part(n).exists())
        for number in parts:
            self._cut(self._part(number))
        last = max(numbers, default=0)
        number = last if last in parts else last + 1
        # What the crash interrupted was the last delivery: it is in this file, or in the one before.
        newest = [p for n in (number - 1, number) for p in sorted(self._folder.glob(f"{self._stem}-{n:08d}.*"))]
        self._written = frozenset(e for path in newest for event in read_events(path) if (e := event["data"].get("entry")) is not None)
        self._begin(number)
        self._unfinished = [n for n in parts if n != number and self._part(n).exists()]

    def _cut(self, path: Path) -> None:
        """Leave whole lines; a file with damage inside is put aside, with what can be read in it."""
        if path in self._trusted:
            os.truncate(path, self._trusted[path])
            del self._trusted[path]
        data = path.read_bytes()
        lines = data.splitlines(keepends=True)
        good = 0
        while good < len(lines) and _event_in(lines[good]) is not None:
            good += 1
        if any(_event_in(line) is not None for line in lines[good:]):
            aside = path.with_name(path.name.removesuffix(f".jsonl{PART}") + ".damaged.jsonl")
            log.error("file damaged, put aside path=%s line=%d", aside, good + 1)
            path.rename(aside)
            sync_folder(self._folder)
        elif good < len(lines):
            log.warning("file ended in a torn line, cut path=%s bytes=%d", path, sum(map(len, lines[good:])))
            with path.open("r+b") as file:
                file.truncate(sum(map(len, lines[:good])))
                os.fsync(file.fileno())


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Every event that can be read in a file of this sink, in its order: ``.jsonl``, ``.jsonl.part`` or ``.parquet``.

    Raises:
        OSError: the file cannot be read.
        SetupError: it is Parquet, and pyarrow is not installed.
    """
    for line in _parquet_lines(path) if path.suffix == ".parquet" else _lines(path):
        event = _event_in(line)
        if event is None:
            log.warning("line skipped: no event path=%s bytes=%d", path, len(line))
        else:
            yield event


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _event_in(line: bytes) -> dict[str, Any] | None:
    """The event of one whole line; None: it is none."""
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("data"), dict) else None


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


# --- Parquet ----------------------------------------------------------------------------------------------------------------

_COLUMNS = ("device_id", "boot_id", "seq", "time_error_us", "model_id", "stream", "sample_index", "latency_us", "uptime_us", "top")
_CHUNK_EVENTS = 10_000


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415 (an optional extra)
    except ModuleNotFoundError as error:
        raise SetupError(f"Parquet needs the package {error.name}", hint="pip install 'tinyfleet[parquet]'") from error
    return pyarrow


def _schema() -> pyarrow.Schema:
    pa = _pyarrow()
    numbers = {
        "boot_id": pa.uint32(),
        "seq": pa.uint32(),
        "stream": pa.uint32(),
        "sample_index": pa.uint32(),
        "latency_us": pa.uint32(),
        "top": pa.uint8(),
    }
    fields = [(name, numbers.get(name, pa.string() if name.endswith("_id") else pa.int64())) for name in _COLUMNS]
    return pa.schema([("type", pa.string()), ("time", pa.string()), *fields, ("event", pa.string())])


def _write_parquet(part: Path, final: Path) -> None:
    """The events of a file as Parquet: there whole and on the disk, or not there.

    Raises:
        OSError: it cannot be written.
    """
    pa = _pyarrow()
    schema, draft = _schema(), final.with_name(f".{final.name}.new")
    with draft.open("wb") as file:
        with pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for events in _chunks(read_events(part)):
                rows = [_row(event) for event in events]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(final)
    sync_folder(final.parent)


def _row(event: dict[str, Any]) -> dict[str, Any]:
    record = event["data"] if event["type"] == "tinyfleet.record.v1" else {}
    return {"type": event["type"], "time": event.get("time"), **{c: record.get(c) for c in _COLUMNS}, "event": json.dumps(event)}


def _chunks(events: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for event in events:
        chunk.append(event)
        if len(chunk) == _CHUNK_EVENTS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _parquet_lines(path: Path) -> Iterator[bytes]:
    pa = _pyarrow()
    with contextlib.closing(pa.parquet.ParquetFile(path)) as file:
        for batch in file.iter_batches(columns=["event"]):
            for text in batch.column(0).to_pylist():
                yield text.encode() + b"\n"
