"""Power cuts, kills and failing disks: what was committed is there, whatever the moment."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.crash_images import crash_images, recording
from tests.support.mutate import mutate_text
from tinyfleet.database import open_database
from tinyfleet.gateway.outbox import NewDerived, Outbox, PulledRecord, SinkPlace

SEED = int(os.environ.get("TINYFLEET_TEST_SEED", "20261126"))
SINKS = [SinkPlace("a"), SinkPlace("b"), SinkPlace("live", holds=False)]
TARGETS = {"fall/webhook": 3600, "fall/device": 3600}
DEVICES = (b"A" * 16, b"B" * 16)


@pytest.fixture
def shm(tmp_path: Path) -> Iterator[Path]:
    """A folder where syncs cost nothing, when there is one."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def opened(folder: Path) -> Outbox:
    return Outbox(folder / "outbox.db", gateway_id="gw", sinks=SINKS, max_bytes=2**18, targets=TARGETS)


def act(outbox: Outbox, rng: random.Random) -> None:
    """One operation: its effect is all or nothing."""
    word = rng.choice(["append", "append", "append", "deliver", "deliver", "group", "settle", "refuse", "obey"])
    device = rng.choice(DEVICES)
    if word == "append":
        append(outbox, device, rng.randint(1, 30), lost=rng.choice([0, 0, 2]))
    elif word == "group":
        with outbox.group():
            append(outbox, DEVICES[0], 3)
            append(outbox, DEVICES[1], 3)
    elif word == "settle":
        outbox.settle()
    elif word == "obey":
        with outbox.group():
            for number, action in enumerate([*outbox.actions.next("fall/webhook", 2), *outbox.actions.next_commands(device, 1, 1)]):
                if number % 2:
                    outbox.actions.give_up(action.id, "no")
                else:
                    outbox.actions.done(action.id)
    else:
        sink = rng.choice([s.name for s in SINKS])
        batch = outbox.batch(sink, rng.randint(1, 200), 2**20)
        entries = [e.entry for e in batch.envelopes]
        refused = [(e, "no") for e in entries[:1]] if word == "refuse" else []
        outbox.acknowledge(sink, entries, refused=refused, reports=batch.reports)


def append(outbox: Outbox, device: bytes, count: int, *, lost: int = 0) -> None:
    since = outbox.cursor(device, 1)
    first = since + lost
    records = [PulledRecord(s, device + s.to_bytes(4, "little") * 40, s, 1, b"m" * 32) for s in range(first, first + count)]
    derived = [NewDerived("window", b'{"n": 1}'), NewDerived("detection", b'{"rule":"fall"}', first, first, targets=tuple(TARGETS))]
    outbox.append(device, 1, records, since=since, next_seq=first + count, lost=lost, derived=derived)


def content(path: Path) -> dict[str, list[Any]]:
    """Every row of every table that says something about records."""
    reader = sqlite3.connect(path)
    try:
        tables = [name for (name,) in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {table: reader.execute(f"SELECT * FROM {table}").fetchall() for table in tables if not table.startswith("sqlite_")}
    finally:
        reader.close()


def wrong_images(folder: Path, monkeypatch: pytest.MonkeyPatch, *, operations: int, images_each: int) -> list[str]:
    """Record some operations, crash at every sync, and say which images do not hold what they must."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    (folder / "recorded").mkdir()
    path = folder / "recorded" / "outbox.db"
    with recording(monkeypatch) as recorder:
        outbox = opened(path.parent)
        recorder.mark()
        states = [content_of(outbox)]
        for _ in range(operations):
            act(outbox, rng)
            recorder.mark()
            states.append(content_of(outbox))
        outbox.close()
    assert sum(len(s["queue"]) for s in states) > 20 * operations
    image = folder / "image"
    image.mkdir()
    wrong = []
    count = 0
    for index, marks, files in crash_images(recorder.events, rng, images_each):
        if marks == 0:
            continue  # Making the file is not an operation that somebody relies on.
        count += 1
        for old in image.iterdir():
            old.unlink()
        for name, data in files.items():
            (image / name).write_bytes(data)
        try:
            found = content(image / "outbox.db")
            allowed = states[marks - 1 : marks + 1]
            if found not in allowed:
                which = {table: [marks - 1 + i for i, state in enumerate(allowed) if state[table] == found[table]] for table in found}
                wrong.append(f"image {count} at event {index}: not one of the states around operation {marks}: {which}")
            else:
                opened(image).close()
        except Exception as error:
            wrong.append(f"image {count} at event {index}: {error}")
        if len(wrong) > 3:
            break
    print(f"{count} images of {len(recorder.events)} events, {sum(e.what == 'sync' for e in recorder.events)} syncs")
    assert wrong or count > 2 * operations
    return wrong


def content_of(outbox: Outbox) -> dict[str, list[Any]]:
    """The same as :func:`content`, through the connection that is being recorded."""
    db = outbox._db
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()]
    return {table: list(db.execute(f"SELECT * FROM {table}").fetchall()) for table in tables if not table.startswith("sqlite_")}


def test_every_crash_image_holds_what_was_committed(shm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong_images(shm, monkeypatch, operations=40, images_each=3) == []


@pytest.mark.parametrize(
    ("function", "before", "after"),
    [
        (Outbox.append, "if made:", "self._is_grouped or (self._db.execute('COMMIT'), self._db.execute('BEGIN'))\n        if made:"),
        (open_database, "synchronous = FULL", "synchronous = OFF"),
        (open_database, "synchronous = FULL", "synchronous = NORMAL"),
        (open_database, "sync_folder(path.parent)", "pass"),
    ],
    ids=["cursor outside the transaction", "no syncs", "syncs at checkpoints only", "the first journal comes back"],
)
def test_a_seeded_bug_is_seen(function: Any, before: str, after: str, shm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mutate_text(monkeypatch, function, before, after)
    assert wrong_images(shm, monkeypatch, operations=25, images_each=3) != []
