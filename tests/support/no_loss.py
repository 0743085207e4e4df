"""The property, checked against the witness: what boards made = stored + covered + filtered + declared dropped, each in one of them.

The gateway's own word counts only where it declares a loss, and then it must be exact: a declaration too many is a finding as well.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.support.witness import Trace

Boot = tuple[bytes, int]
"""device_id, boot_id"""


@dataclass(frozen=True, slots=True)
class Declared:
    """Totals that a gateway declares of one boot."""

    lost: int = 0
    dropped: int = 0
    filtered: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """A derived record: ``count`` records of first .. last (None: open) are not delivered themselves; a gap is one with kind ``gap``."""

    kind: str
    first: int
    last: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a cloud has.

    Attributes:
        records: Per boot: seq -> CRC-32 of the bytes.
        declared: Per boot.
        ranges: Per boot.
        duplicated: Rows or deliveries too many of one identity, by its own count.
        alarms: Identities that came with two contents.
    """

    records: Mapping[Boot, Mapping[int, int]]
    declared: Mapping[Boot, Declared]
    ranges: Mapping[Boot, Sequence[Range]]
    duplicated: int = 0
    alarms: int = 0


@dataclass(slots=True)
class Verdict:
    """``produced == stored + covered + filtered + dropped + lost``; ``dropped`` is declared: by outbox, by ring, or with a killed board,
    or was in a broker that was killed with all that it held.

    Attributes:
        most_with_board: What could have gone with the killed boards: the sum of their bounds.
        captured: Records whose windows are there as well; they are in no other number.
        findings: What is not as it must be; empty: the property holds.
    """

    produced: int = 0
    stored: int = 0
    covered: int = 0
    filtered: int = 0
    dropped: int = 0
    dropped_by_outbox: int = 0
    dropped_by_ring: int = 0
    dropped_with_board: int = 0
    most_with_board: int = 0
    dropped_with_broker: int = 0
    gaps: int = 0
    lost: int = 0
    duplicated: int = 0
    captured: int = 0
    findings: list[str] = field(default_factory=list)

    def add(self, other: Verdict, name: str) -> None:
        """Sum up two clouds that should hold the same: each counts what was produced for itself."""
        for key, value in other.facts().items():
            setattr(self, key, getattr(self, key) + value)
        self.findings += [f"{name}: {finding}" for finding in other.findings]

    def facts(self) -> dict[str, Any]:
        """All counts."""
        facts = asdict(self)
        del facts["findings"]
        return facts


def judge(
    traces: Mapping[bytes, Trace],
    cloud: Holdings,
    *,
    ring_records: int,
    unpulled: Mapping[Boot, int] | None = None,
    gone: Holdings | None = None,
) -> Verdict:
    """Compare what boards made with what a cloud holds.

    Args:
        traces: Per device.
        cloud: Once everything was delivered.
        ring_records: What a board's ring holds at most: a killed board may lose no more.
        unpulled: Per boot that was killed, what the gateway had not committed then, where that is known: it may lose no more than that.
        gone: What was seen in a broker when it was killed, and is not in the cloud: a broker's word was asked for, so that is lost.
    """
    verdict = Verdict(duplicated=cloud.duplicated)
    if cloud.duplicated:
        verdict.findings.append(f"{cloud.duplicated} records came by more than one outbox entry")
    if cloud.alarms:
        verdict.findings.append(f"{cloud.alarms} identities came with two contents")
    made: dict[Boot, dict[int, int]] = defaultdict(dict)
    for device_id, trace in traces.items():
        verdict.findings += [f"{device_id.hex()[:8]}: {problem}" for problem in trace.problems]
        for (boot_id, seq), crc in trace.records.items():
            made[device_id, boot_id][seq] = crc
    last_boot = {device_id: max((boot for boot, _ in trace.records), default=0) for device_id, trace in traces.items()}
    known = made.keys() | cloud.records.keys() | cloud.declared.keys() | cloud.ranges.keys()
    for boot in sorted(known if gone is None else known | gone.records.keys() | gone.ranges.keys()):
        is_ended = boot[1] < last_boot.get(boot[0], 0)
        most = min(ring_records, (unpulled or {}).get(boot, ring_records)) if is_ended else 0
        _judge_boot(verdict, boot, made.get(boot, {}), cloud if gone is None else _together(boot, cloud, gone), most)
        if gone is not None:
            stored = len(gone.records.get(boot, {}).keys() & made.get(boot, {}).keys())
            covered = sum(r.count for r in gone.ranges.get(boot, ()) if r.kind != "gap")
            verdict.stored -= stored
            verdict.covered -= covered
            verdict.dropped += stored + covered
            verdict.dropped_with_broker += stored + covered
    return verdict


def _together(boot: Boot, cloud: Holdings, gone: Holdings) -> Holdings:
    """What is known of one boot from both."""
    return Holdings(
        {boot: {**gone.records.get(boot, {}), **cloud.records.get(boot, {})}},
        {boot: gone.declared.get(boot) or cloud.declared.get(boot, Declared())},
        {boot: [*cloud.ranges.get(boot, ()), *gone.ranges.get(boot, ())]},
    )


def _judge_boot(verdict: Verdict, boot: Boot, made: Mapping[int, int], cloud: Holdings, most_with_board: int) -> None:
    name = f"{boot[0].hex()[:8]}/{boot[1]}"
    stored = cloud.records.get(boot, {})
    if foreign := sorted(stored.keys() - made.keys()):
        verdict.findings.append(f"{name}: {len(foreign)} stored records were never made, first {foreign[0]}")
    if wrong := [seq for seq in stored.keys() & made.keys() if stored[seq] != made[seq]]:
        verdict.findings.append(f"{name}: {len(wrong)} stored records have other bytes, first {min(wrong)}")
    missing = made.keys() - stored.keys()
    ranges = cloud.ranges.get(boot, ())
    gaps = [r for r in ranges if r.kind == "gap"]
    for gap in gaps:
        if present := [seq for seq in stored if gap.first <= seq and (gap.last is None or seq <= gap.last)]:
            verdict.findings.append(f"{name}: a gap from {gap.first} to {gap.last} holds {len(present)} stored records")
    # A window is of one record, and stands for none: it is another thing that must come once.
    captured = Counter(r.first for r in ranges if r.kind == "capture")
    if foreign := sorted(captured.keys() - made.keys()):
        verdict.findings.append(f"{name}: {len(foreign)} windows of records that were never made, first {foreign[0]}")
    if twice := sorted(seq for seq, times in captured.items() if times > 1):
        verdict.findings.append(f"{name}: the windows of {len(twice)} records came more than once, first {twice[0]}")
    verdict.captured += len(captured)
    covered = 0
    for r in ranges:
        if r.kind != "gap" and r.count:
            inside = sum(1 for seq in missing if r.first <= seq and (r.last is None or seq <= r.last))
            covered += r.count
            if inside < r.count:
                verdict.findings.append(
                    f"{name}: a {r.kind} stands for {r.count} records of {r.first} to {r.last}, {inside} are missing there"
                )
    open_from = min((gap.first for gap in gaps if gap.last is None), default=None)
    tail = [] if open_from is None else [seq for seq in missing if seq >= open_from]
    if len(tail) > most_with_board:
        verdict.findings.append(f"{name}: {len(tail)} records went with the board from {open_from}, at most {most_with_board} could")
    declared = cloud.declared.get(boot, Declared())
    explained = covered + declared.filtered + declared.dropped + declared.lost
    unexplained = len(missing) - len(tail) - explained
    if unexplained < 0:
        verdict.findings.append(f"{name}: {explained} records are declared as not stored, {len(missing) - len(tail)} are missing")
    if unexplained > 0:
        first = min(seq for seq in missing if seq not in set(tail))
        verdict.findings.append(f"{name}: LOST {unexplained} of {len(missing)} missing records (of {len(made)}); first missing {first}")
    verdict.produced += len(made)
    verdict.stored += len(made) - len(missing)
    verdict.covered += covered
    verdict.filtered += declared.filtered
    verdict.dropped_by_outbox += declared.dropped
    verdict.dropped_by_ring += declared.lost
    verdict.dropped_with_board += len(tail)
    verdict.most_with_board += most_with_board
    verdict.dropped += declared.dropped + declared.lost + len(tail)
    verdict.gaps += len(gaps)
    verdict.lost += max(0, unexplained)


def read_holdings(database: Path) -> Holdings:
    """What is in a cloud's database; the cloud may be running."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        records: dict[Boot, dict[int, int]] = defaultdict(dict)
        repeats = 0
        for device_id, boot_id, seq, record in db.execute("SELECT device_id, boot_id, seq, record FROM record"):
            repeats += seq in records[device_id, boot_id]
            records[device_id, boot_id][seq] = zlib.crc32(record)
        declared: dict[Boot, Declared] = {}
        columns = {row[1] for row in db.execute("PRAGMA table_info(loss)")}
        filtered = "sum(filtered)" if "filtered" in columns else "0"
        for device_id, boot_id, *counts in db.execute(
            f"SELECT device_id, boot_id, sum(lost), sum(dropped), {filtered} FROM loss GROUP BY device_id, boot_id"
        ):
            declared[device_id, boot_id] = Declared(*counts)
        ranges: dict[Boot, list[Range]] = defaultdict(list)
        if db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'derived'").fetchone()[0]:
            for device_id, boot_id, kind, first, last, count in db.execute(
                "SELECT device_id, boot_id, kind, first_seq, last_seq, count FROM derived"
                " WHERE device_id IS NOT NULL AND first_seq IS NOT NULL"
            ):
                ranges[device_id, boot_id].append(Range(kind, first, last, count))
        totals = dict(db.execute("SELECT name, count FROM total"))
        alarms = db.execute("SELECT count(*) FROM alarm").fetchone()[0]
        return Holdings(records, declared, ranges, duplicated=repeats + totals.get("duplicated", 0), alarms=alarms)
    finally:
        db.close()
