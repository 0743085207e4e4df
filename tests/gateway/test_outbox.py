from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyfleet.gateway.outbox import (
    RESERVE_BYTES,
    RESERVE_FILE,
    CursorMoved,
    Outbox,
    OutboxFull,
    PulledRecord,
    SinkPlace,
    WhenFull,
    inspect_outbox,
)
from tinyfleet.telemetry import LossReport
from tinyfleet_codegen.errors import StoreError

A, B = b"A" * 16, b"B" * 16
BOUND = 2**18


def pulled(first: int, count: int, size: int = 42) -> list[PulledRecord]:
    return [PulledRecord(seq, bytes([seq % 256]) * size, 1_000_000 + seq, 50, b"m" * 32) for seq in range(first, first + count)]


def opened(path: Path, *, when_full: WhenFull = WhenFull.DROP_OLDEST, max_bytes: int = BOUND) -> Outbox:
    return Outbox(path / "outbox.db", gateway_id="gw", max_bytes=max_bytes, when_full=when_full)


def append(outbox: Outbox, device: bytes, first: int, count: int, size: int = 42) -> int:
    return outbox.append(device, 1, pulled(first, count, size), since=first, next_seq=first + count, lost=0)


def identities(outbox: Outbox) -> list[tuple[bytes, int]]:
    """Everything that waits for the sink, in the order in which it is offered."""
    reader = sqlite3.connect(outbox.path)
    rows = reader.execute(
        "SELECT device_id, seq FROM queue JOIN boot ON boot.id = boot LEFT JOIN aside USING (entry)"
        " WHERE kind IS NULL AND reason IS NULL ORDER BY entry"
    ).fetchall()
    reader.close()
    offered = [(e.identity.device_id, e.identity.seq) for e in outbox.batch("http", 100_000, 2**40).records]
    assert offered == rows[: len(offered)] and bool(offered) == bool(rows)
    return rows


def drain(outbox: Outbox, sink: str = "http") -> int:
    """Accept everything; returns how many entries that were."""
    count = 0
    while batch := outbox.batch(sink, 500, 2**20).envelopes:
        outbox.acknowledge(sink, [e.entry for e in batch])
        count += len(batch)
    return count


def test_records_and_cursor_survive_a_reopening_in_order(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, A, 0, 3)
    append(outbox, B, 0, 2)
    append(outbox, A, 3, 2)
    outbox_id = outbox.outbox_id
    outbox.close()
    outbox = opened(tmp_path)
    assert outbox.outbox_id == outbox_id
    assert (outbox.cursor(A, 1), outbox.cursor(B, 1), outbox.cursor(A, 2)) == (5, 2, 0)
    assert identities(outbox) == [(A, 0), (A, 1), (A, 2), (B, 0), (B, 1), (A, 3), (A, 4)]


def test_cursor_that_moved_commits_nothing(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, A, 0, 3)
    with pytest.raises(CursorMoved):
        append(outbox, A, 1, 3)
    with pytest.raises(CursorMoved):
        append(outbox, B, 5, 1)
    assert identities(outbox) == [(A, 0), (A, 1), (A, 2)]
    assert [(b.device_id, b.next_seq) for b in outbox.boots()] == [(A, 3)]


def test_only_acknowledged_records_go(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, A, 0, 5)
    entries = [e.entry for e in outbox.batch("http", 3, 2**20).envelopes]
    outbox.acknowledge("http", entries[:2])
    assert identities(outbox) == [(A, 2), (A, 3), (A, 4)]


def test_entry_numbers_are_never_used_again(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, A, 0, 3)
    last = [e.entry for e in outbox.batch("http", 10, 2**20).envelopes]
    outbox.acknowledge("http", last)
    outbox.close()
    outbox = opened(tmp_path)
    append(outbox, A, 3, 1)
    assert outbox.batch("http", 1, 2**20).envelopes[0].entry > max(last)


def test_refused_record_is_kept_and_offered_again_after_a_restart(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, A, 0, 3)
    entries = [e.entry for e in outbox.batch("http", 3, 2**20).envelopes]
    outbox.acknowledge("http", [entries[0]], refused=[(entries[1], "unknown version")])
    assert identities(outbox) == [(A, 2)]
    assert (outbox.depth().waiting, outbox.depth().refused) == (1, 1)
    outbox.close()
    assert identities(opened(tmp_path)) == [(A, 1), (A, 2)]


def test_full_outbox_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, B, 0, 10)
    dropped = sum(append(outbox, A, first, 100, size=100) for first in range(0, 5000, 100))
    depth = outbox.depth()
    assert depth.used_bytes <= BOUND
    assert dropped > 0
    assert depth.waiting == 5010 - dropped
    kept = identities(outbox)
    assert kept == [(A, seq) for seq in range(5010 - depth.waiting - 10, 5000)]
    reports = outbox.unreported_losses("http")
    assert sorted(reports, key=lambda r: r.device_id) == [LossReport(A, 1, 0, dropped - 10), LossReport(B, 1, 0, 10)]
    outbox.acknowledge("http", [], reports=reports)
    assert outbox.unreported_losses("http") == []


def test_records_in_flight_are_not_dropped(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, A, 0, 300, size=100)
    in_flight = outbox.batch("http", 200, 2**20).envelopes
    for first in range(300, 5000, 100):
        append(outbox, A, first, 100, size=100)
    outbox.acknowledge("http", [e.entry for e in in_flight])
    dropped = sum(b.dropped for b in outbox.boots())
    assert dropped > 0
    assert outbox.depth().waiting + dropped == 4800


def test_full_outbox_stops_pulling_when_told_to(tmp_path: Path) -> None:
    outbox = opened(tmp_path, when_full=WhenFull.STOP_PULLING)
    seq = 0
    with pytest.raises(OutboxFull):
        for seq in range(0, 100_000, 100):
            append(outbox, A, seq, 100, size=100)
    assert outbox.cursor(A, 1) == seq == outbox.depth().waiting
    drain(outbox)
    append(outbox, A, seq, 100)


def test_disk_is_given_back_after_a_drain(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=2**30)
    for first in range(0, 60_000, 1000):
        append(outbox, A, first, 1000, size=100)
    path = tmp_path / "outbox.db"
    assert path.stat().st_size > 6 * 2**20
    drain(outbox)
    outbox.settle()
    assert sum(p.stat().st_size for p in tmp_path.glob("outbox.db*")) <= 4 * 2**20
    assert path.stat().st_size < 2**18


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size``: what a full disk looks like, without a disk to fill."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_full_disk_refuses_whole_commits_and_loses_nothing(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=2**30)
    seq = 0
    with largest_file(2**20), pytest.raises(StoreError) as refused:
        for seq in range(0, 1_000_000, 500):
            append(outbox, A, seq, 500)
    assert refused.value.hint is not None and "free space" in refused.value.hint
    assert outbox.cursor(A, 1) == seq == outbox.depth().waiting > 0
    outbox.close()
    outbox = opened(tmp_path, max_bytes=2**30)
    assert identities(outbox) == [(A, s) for s in range(seq)]
    append(outbox, A, seq, 500)


def test_full_disk_can_be_drained_with_the_room_that_the_reserve_gives_back(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=2**30)
    reserve = tmp_path / RESERVE_FILE
    full = 5 * 2**20
    assert reserve.stat().st_size == RESERVE_BYTES < full
    with largest_file(full), pytest.raises(StoreError):
        for seq in range(0, 1_000_000, 500):
            append(outbox, A, seq, 500)
    with largest_file(full + RESERVE_BYTES):
        drain(outbox)
    assert outbox.depth().waiting == 0


def test_reserve_goes_when_a_removal_fails(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=2**30)
    append(outbox, A, 0, 500)
    outbox.settle()
    with largest_file(0), pytest.raises(StoreError):
        outbox.acknowledge("http", [e.entry for e in outbox.batch("http", 500, 2**20).envelopes])
    assert not (tmp_path / RESERVE_FILE).exists()
    assert outbox.depth().waiting == 500
    drain(outbox)
    assert outbox.depth().waiting == 0
    outbox.settle()
    assert (tmp_path / RESERVE_FILE).stat().st_size == RESERVE_BYTES


WRITER = """
import sys
from pathlib import Path
from tinyfleet.gateway.outbox import Outbox, PulledRecord, SinkPlace
outbox = Outbox(Path(sys.argv[1]), gateway_id="gw", sinks=[SinkPlace("fast"), SinkPlace("slow")])
seq = outbox.cursor(b"A" * 16, 1)
while True:
    records = [PulledRecord(s, s.to_bytes(4, "little") * 10, s, 1, None) for s in range(seq, seq + 5)]
    outbox.append(b"A" * 16, 1, records, since=seq, next_seq=seq + 5, lost=0)
    seq += 5
    taken = []
    for sink, count in (("fast", 4), ("slow", 3)):
        batch = outbox.batch(sink, count, 2**20)
        outbox.acknowledge(sink, [e.entry for e in batch.envelopes])
        taken.append(batch.records[-1].identity.seq)
    print(seq, *taken, flush=True)
"""


def test_process_that_is_killed_keeps_what_it_has_committed(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    for rounds in (1, 7, 30):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            said, fast, slow = 0, 0, 0
            for _ in range(rounds):
                said, fast, slow = map(int, writer.stdout.readline().split())
            writer.kill()
            writer.stdout.read()
        outbox = Outbox(path, gateway_id="gw", sinks=[SinkPlace("fast"), SinkPlace("slow")])
        cursor = outbox.cursor(A, 1)
        assert cursor >= said
        for sink, taken in (("fast", fast), ("slow", slow)):
            seqs = [e.identity.seq for e in outbox.batch(sink, 5000, 2**20).records]
            # What the process said it had delivered is not offered again; all that follows is, without a hole.
            assert seqs == list(range(seqs[0], cursor)) and seqs[0] > taken
        first = outbox._db.execute("SELECT min(seq) FROM queue").fetchone()[0]
        assert first == outbox.batch("slow", 1, 1).records[0].identity.seq
        outbox.close()


def test_newer_outbox_is_refused_and_not_touched(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, A, 0, 3)
    outbox.close()
    path = tmp_path / "outbox.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="version 99, this code knows up to 3"):
        opened(tmp_path)
    assert path.read_bytes() == before


def test_foreign_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "outbox.db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreError, match="another program's database"):
        opened(tmp_path)


@pytest.mark.parametrize("damage", ["text", "middle", "truncated"])
def test_damaged_outbox_is_refused_with_a_next_step(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "outbox.db"
    outbox = opened(tmp_path)
    append(outbox, A, 0, 2000)
    outbox.close()
    data = bytearray(path.read_bytes())
    if damage == "text":
        data = bytearray(b"this is not a database, but long enough to be one" * 100)
    elif damage == "middle":
        data[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    with pytest.raises(StoreError) as refused:
        opened(tmp_path)
    assert refused.value.hint is not None and "move the file" in refused.value.hint


def test_outbox_is_inspected_beside_its_owner(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, A, 0, 3)
    depth, boots = inspect_outbox(tmp_path / "outbox.db")
    assert (depth.waiting, boots[0].next_seq) == (3, 3)
    with pytest.raises(StoreError, match="no outbox"):
        inspect_outbox(tmp_path / "absent.db")


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Root may write everywhere: be somebody else. Others are so already."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_disk_that_cannot_be_written_is_one_clear_error_and_costs_nothing() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outbox = opened(folder)
        append(outbox, A, 0, 50)
        outbox.close()
        (folder / RESERVE_FILE).unlink()
        (folder / "outbox.db").chmod(0o444)
        folder.chmod(0o555)
        try:
            with nobody(), pytest.raises(StoreError) as refused:
                opened(folder)
        finally:
            folder.chmod(0o755)
            (folder / "outbox.db").chmod(0o644)
        assert refused.value.hint is not None and "writable for this user" in refused.value.hint
        outbox = opened(folder)
        assert identities(outbox) == [(A, seq) for seq in range(50)]
        outbox.close()


def test_age_is_the_time_in_which_gateways_ran(tmp_path: Path) -> None:
    def aged(clock_s: float) -> Outbox:
        return Outbox(tmp_path / "outbox.db", gateway_id="gw", max_age_s=100, clock_s=lambda: now_s + clock_s)

    now_s = 0.0
    outbox = aged(5000.0)
    append(outbox, A, 0, 5)
    now_s = 60.0
    append(outbox, A, 5, 5)
    outbox.close()
    # The machine was off for a year, and its clock of uptime begins anew.
    outbox = aged(-50.0)
    append(outbox, A, 10, 5)
    assert outbox.depth().waiting == 15
    outbox._places.by_name["http"].unanswered.clear()
    now_s = 60.0 + 41.0
    append(outbox, A, 15, 5)
    assert identities(outbox) == [(A, seq) for seq in range(5, 20)]
    assert outbox.unreported_losses("http") == [LossReport(A, 1, 0, 5)]
    outbox.close()


def test_history_is_by_time_whatever_the_clock_did_and_can_be_read_on_from_any_page(tmp_path: Path) -> None:
    # The clock was set back after the second record, and stood still for four of them.
    times = [500, 600, 100, 200, 300, 300, 300, 300, 400, 700]
    records = [PulledRecord(seq, b"x" * 42, 1_000_000 + time, 50, None) for seq, time in enumerate(times)]
    outbox = opened(tmp_path)
    outbox.append(A, 1, records, since=0, next_seq=len(times), lost=0)
    append(outbox, B, 0, 5)
    in_order = [2, 3, 4, 5, 6, 7, 8, 0, 1, 9]
    for limit in range(1, 12):
        found: list[int] = []
        moment = 0
        while page := outbox.history(A, moment, 2**62, limit):
            found += [e.identity.seq for e in page]
            assert page[-1].time_utc_us is not None
            moment = page[-1].time_utc_us + 1
        assert found == in_order, limit
    assert [e.identity.seq for e in outbox.history(A, 2**62, 0, 3)] == [9, 1, 0]
    assert [e.identity.seq for e in outbox.history(A, 1_000_300, 1_000_500, 100)] == [4, 5, 6, 7, 8, 0]
    outbox.close()
