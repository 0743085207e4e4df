"""What an outbox must hold, kept beside a real one: every operation is done to both, then everything is compared.

Peers are what stands behind the sinks; they remember what they were given, also when the gateway never hears of it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyfleet.gateway.outbox import CursorMoved, NewDerived, Outbox, OutboxFull, PulledRecord, SinkPlace, WhenFull
from tinyfleet.gateway.outbox_schema import GAP, lane_of
from tinyfleet.telemetry import Batch, DerivedEnvelope, Envelope, LossReport

Boot = tuple[bytes, int]
Key = tuple[str, bytes | str, int, int]
"""('record', device_id, boot_id, seq) or (kind, '', 0, number)."""

PLACES = {
    "keeps": SinkPlace("keeps"),
    "europe": SinkPlace("europe", region="eu"),
    "live": SinkPlace("live", holds=False),
}


class Kill(Exception):
    """The process dies here."""


@dataclass
class Peer:
    """One sink's far end, and what must be true of its place.

    Attributes:
        universe: Everything that was ever to be delivered to it.
        received: In the order of first arrival.
        acknowledged: What the outbox was told and has committed.
        ever_refused: It may arrive late.
        offered: The last batch, until its answer is committed or the process dies.
        told: Last loss report per boot.
    """

    universe: set[Key] = field(default_factory=set)
    received: dict[Key, None] = field(default_factory=dict)
    acknowledged: set[Key] = field(default_factory=set)
    ever_refused: set[Key] = field(default_factory=set)
    offered: Batch | None = None
    told: dict[Boot, LossReport] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """One entry as it was handed in."""

    entry: int
    boot: Boot | None
    payload: bytes
    region: str | None
    weight: int


class Model:
    """A real outbox in a folder, and what it must hold.

    Args:
        folder: For the database; a crash moves on to a copy in it.
        sinks: Names out of ``PLACES``.
    """

    def __init__(self, folder: Path, sinks: Sequence[str]) -> None:
        self.folder = folder
        self.lives = 0
        self.now_s = 1000.0
        self.sinks = list(sinks)
        self.max_bytes = 2**18
        self.max_age_s: int | None = None
        self.when_full = WhenFull.DROP_OLDEST
        self.made: dict[Key, Made] = {}
        self.keys: dict[int, Key] = {}
        self.peers = {name: Peer() for name in self.sinks}
        self.cursors: dict[Boot, int] = {}
        self.pulled: Counter[Boot] = Counter()
        self.lost: Counter[Boot] = Counter()
        self.filtered: Counter[Boot] = Counter()
        self.gaps = 0
        self.is_watching = False
        self.outbox = self.opened()

    def opened(self) -> Outbox:
        """Open the database of this life."""
        outbox = Outbox(
            self.folder / f"outbox{self.lives}.db",
            gateway_id="gw",
            sinks=[PLACES[name] for name in self.sinks],
            max_bytes=self.max_bytes,
            max_age_s=self.max_age_s,
            when_full=self.when_full,
            clock_s=lambda: self.now_s,
        )
        insert = outbox._insert

        def watched(*arguments: Any) -> None:
            insert(*arguments)
            if self.is_watching:
                self._learn()

        outbox._insert = watched  # type: ignore[method-assign]
        return outbox

    # -- operations

    def append(
        self, boot: Boot, priorities: Sequence[int], *, size: int, lost: int, filtered: int, covered: int, region: str | None
    ) -> None:
        """Pull records with these priorities, after some that are lost, and some that are filtered or stood for."""
        since = self.cursors.get(boot, 0)
        first = since + lost + filtered + covered
        records = [PulledRecord(s, self.payload(boot, s, size), s, 1, b"m" * 32, p) for s, p in enumerate(priorities, first)]
        derived = [NewDerived("window", b"{}", since + lost, first - 1, covered)] if covered else []
        next_seq = first + len(records)
        self.is_watching = True
        try:
            self.outbox.append(*boot, records, since=since, next_seq=next_seq, lost=lost, filtered=filtered, derived=derived, region=region)
        except OutboxFull:
            assert self.when_full is WhenFull.STOP_PULLING
            return
        finally:
            self.is_watching = False
        self.gaps += lost > 0
        earlier = [b for d, b in self.cursors if d == boot[0] and b < boot[1]]
        if boot not in self.cursors and earlier:
            self.gaps += boot[1] - max(earlier)
            self.cursors |= {(boot[0], over): 0 for over in range(max(earlier) + 1, boot[1])}
        self.cursors[boot] = next_seq
        self.pulled[boot] += len(records) + filtered + covered
        self.lost[boot] += lost
        self.filtered[boot] += filtered
        for r in records:
            assert self.made["record", *boot, r.seq].payload == r.record
        self._check_room()

    @staticmethod
    def payload(boot: Boot, seq: int, size: int) -> bytes:
        """Bytes that follow from the identity."""
        return boot[0] + bytes([boot[1] % 256, seq % 256, seq // 256 % 256]) * size

    def append_stale(self, boot: Boot) -> None:
        """Pull from a cursor that has moved."""
        try:
            self.outbox.append(*boot, [], since=self.cursors.get(boot, 0) + 7, next_seq=99, lost=3)
        except CursorMoved:
            return
        raise AssertionError("a stale cursor was accepted")

    def _learn(self) -> None:
        """Find the entries that were just made."""
        rows = self.outbox._db.execute(
            "SELECT entry, kind, number, device_id, boot_id, seq, payload, region, count FROM queue LEFT JOIN boot ON boot.id = boot"
        ).fetchall()
        for entry, kind, number, device_id, boot_id, seq, payload, region, count in rows:
            if entry in self.keys:
                continue
            key: Key = ("record", device_id, boot_id, seq) if kind is None else (kind, "", 0, number)
            assert key not in self.made, f"{key} was made twice"
            weight = 1 if kind is None else 0 if kind == GAP else count
            boot = None if device_id is None else (device_id, boot_id)
            self.made[key] = Made(entry, boot, payload, region, weight)
            self.keys[entry] = key
            for name in self.sinks:
                self.peers[name].universe.add(key)

    def _check_room(self) -> None:
        """At the bound nothing is left that could have gone."""
        if self.when_full is WhenFull.DROP_OLDEST and self.outbox.depth().used_bytes > self.max_bytes:
            under_way = set[int]().union(*(p.unanswered for p in self.outbox._places.by_name.values()))
            left = {row[0] for row in self.outbox._db.execute("SELECT entry FROM queue")}
            assert left <= under_way, f"{len(left - under_way)} entries could have been dropped"

    def offer(self, sink: str, limit: int, arrives: int) -> None:
        """Give a peer the next batch; the first ``arrives`` entries get there, whatever the gateway hears."""
        peer = self.peers[sink]
        batch = self.outbox.batch(sink, limit, 2**20)
        order = [(-lane_of(e.entry), e.entry) for e in batch.envelopes]
        assert order == sorted(order) and len(set(order)) == len(order)
        for envelope in batch.envelopes:
            made = self.made[self.key(envelope)]
            assert (made.entry, made.payload) == (envelope.entry, self.bytes_of(envelope))
            assert made.region in (None, PLACES[sink].region), f"{sink} was offered an entry of {made.region}"
        for envelope in batch.envelopes[:arrives]:
            peer.received.setdefault(self.key(envelope))
        for report in batch.reports:
            peer.told[report.device_id, report.boot_id] = report
        peer.offered = Batch("gw", batch.outbox_id, batch.envelopes[:arrives], batch.reports)

    def answer(self, sink: str, *, silent: Sequence[int] = (), refused: Sequence[int] = ()) -> None:
        """Tell the outbox what its peer has; of the entries that arrived, some (by index) are not named, some are refused."""
        peer = self.peers[sink]
        if peer.offered is None:
            return
        entries = [e.entry for e in peer.offered.envelopes]
        no = {entries[i % len(entries)] for i in refused} if entries else set[int]()
        quiet = {entries[i % len(entries)] for i in silent} - no if entries else set[int]()
        accepted = set(entries) - no - quiet
        for entry in no:
            # It never had them.
            peer.ever_refused.add(self.keys[entry])
            if self.keys[entry] not in peer.acknowledged:
                peer.received.pop(self.keys[entry], None)
        self.outbox.acknowledge(sink, accepted, refused=[(e, "no") for e in no], reports=peer.offered.reports)
        peer.acknowledged |= {self.keys[e] for e in accepted}
        peer.offered = None

    def failed_group(self, sink: str, boot: Boot) -> None:
        """Commit several things together, and be unable to; then the answer alone."""
        peer = self.peers[sink]
        if peer.offered is None:
            self.offer(sink, 5, 5)
            assert peer.offered is not None
        try:
            with self.outbox.group():
                since = self.cursors.get(boot, 0)
                self.outbox.append(*boot, [PulledRecord(since, b"never", 0, 0, None)], since=since, next_seq=since + 1, lost=0)
                self.outbox.acknowledge(sink, [e.entry for e in peer.offered.envelopes])
                self.append_stale(boot)
                raise Kill
        except (Kill, OutboxFull):
            pass
        self.answer(sink)

    def crash(self) -> None:
        """SIGKILL: what the files hold at this moment is all that is left."""
        self.lives += 1
        for suffix in ("", "-wal"):
            old = Path(f"{self.outbox.path}{suffix}")
            if old.exists():
                shutil.copy(old, self.folder / f"outbox{self.lives}.db{suffix}")
        self.outbox.close()
        self._reborn()

    def restart(self) -> None:
        """Close and open."""
        self.outbox.close()
        self._reborn()

    def _reborn(self) -> None:
        for peer in self.peers.values():
            peer.offered = None
        self.outbox = self.opened()

    def configure(self, sinks: Sequence[str], *, max_bytes: int, max_age_s: int | None, when_full: WhenFull) -> None:
        """Reload; a sink that is gone is forgotten, one that is new gets what is there."""
        self.max_bytes, self.max_age_s, self.when_full = max_bytes, max_age_s, when_full
        there = {self.keys[row[0]] for row in self.outbox._db.execute("SELECT entry FROM queue")}
        for name in sinks:
            if name not in self.sinks:
                self.peers[name] = Peer(universe=set(there))
        self.sinks = list(sinks)
        self.peers = {name: self.peers[name] for name in sinks}
        self.outbox.configure([PLACES[name] for name in sinks], max_bytes=max_bytes, max_age_s=max_age_s, when_full=when_full)

    # -- what must hold

    def key(self, envelope: Envelope | DerivedEnvelope) -> Key:
        """Identity of what is delivered."""
        if isinstance(envelope, Envelope):
            return ("record", envelope.identity.device_id, envelope.identity.boot_id, envelope.identity.seq)
        return (envelope.kind, "", 0, envelope.number)

    @staticmethod
    def bytes_of(envelope: Envelope | DerivedEnvelope) -> bytes:
        """What is delivered."""
        return envelope.record if isinstance(envelope, Envelope) else envelope.body

    def check(self) -> None:
        """Compare everything."""
        db = self.outbox._db
        queued = {self.keys[row[0]] for row in db.execute("SELECT entry FROM queue")}
        for boot, cursor in self.cursors.items():
            assert self.outbox.cursor(*boot) == cursor
        for state in self.outbox.boots():
            boot = (state.device_id, state.boot_id)
            assert (state.pulled, state.lost, state.filtered) == (self.pulled[boot], self.lost[boot], self.filtered[boot])
        gaps = [key for key in self.made if key[0] == GAP]
        assert len(gaps) == self.gaps, f"{len(gaps)} gap records, {self.gaps} are due"
        assert db.execute("SELECT count(*) FROM aside WHERE entry NOT IN (SELECT entry FROM queue)").fetchone() == (0,)
        for depth in self.outbox.depth().sinks:
            peer = self.peers[depth.name]
            (sink_id,) = db.execute("SELECT id FROM sink WHERE name = ?", (depth.name,)).fetchone()
            positions = dict(db.execute("SELECT priority, entry FROM position WHERE sink = ?", (sink_id,)).fetchall())
            aside = dict(db.execute("SELECT entry, reason FROM aside WHERE sink = ?", (sink_id,)).fetchall())
            waiting, refused = set(), set()
            for key in queued & peer.universe:
                entry = self.made[key].entry
                if entry in aside:
                    (waiting if aside[entry] is None else refused).add(key)
                elif entry > positions.get(lane_of(entry), lane_of(entry) << 50):
                    waiting.add(key)
            counts = (depth.waiting, depth.refused, depth.waiting + depth.refused + depth.delivered + depth.dropped + depth.filtered)
            assert counts == (len(waiting), len(refused), len(peer.universe)), f"{depth} of {len(peer.universe)}"
            self._check_order(depth.name, peer)
            if PLACES[depth.name].holds:
                self._check_holding(depth.name, peer, waiting | refused, (depth.delivered, depth.dropped, depth.filtered), sink_id)

    def _check_holding(self, name: str, peer: Peer, here: set[Key], counts: tuple[int, int, int], sink_id: int) -> None:
        """What is gone was delivered, or declared as dropped and never offered, or withheld."""
        assert not here & peer.acknowledged, f"{name}: acknowledged and still waiting"
        gone = peer.universe - here - peer.acknowledged
        withheld = {k for k in gone if self.made[k].region not in (None, PLACES[name].region)}
        dropped = gone - withheld
        assert counts == (len(peer.acknowledged), len(dropped), len(withheld)), f"{name}: delivered, dropped, filtered {counts}"
        assert not dropped & peer.received.keys(), f"{name}: declared as dropped, and the peer has it"
        for column, keys in (("dropped", dropped), ("filtered", withheld)):
            weights: Counter[Boot] = Counter()
            for key in keys:
                if (boot := self.made[key].boot) is not None:
                    weights[boot] += self.made[key].weight
            booked = self.outbox._db.execute(
                f"SELECT device_id, boot_id, account.{column} FROM account JOIN boot ON boot.id = boot WHERE sink = ?", (sink_id,)
            )
            assert {(d, b): n for d, b, n in booked if n} == {boot: n for boot, n in weights.items() if n}, f"{name}: {column}"

    def _check_order(self, name: str, peer: Peer) -> None:
        """First arrivals of one device and one priority are in the order in which they were committed."""
        last: dict[tuple[bytes | None, int], int] = {}
        for key in peer.received:
            made = self.made[key]
            lane = (None if made.boot is None else made.boot[0], lane_of(made.entry))
            if key not in peer.ever_refused:
                assert made.entry > last.get(lane, -1), f"{name}: {key} came late"
                last[lane] = made.entry

    def drain(self) -> None:
        """Let every peer take everything, after an update that makes them refuse nothing; then nothing may be left."""
        for again in (False, True):
            for name in self.sinks:
                while True:
                    self.offer(name, 500, 500)
                    offered = self.peers[name].offered
                    assert offered is not None
                    if not offered.envelopes and not offered.reports:
                        break
                    self.answer(name)
                assert self.outbox.unreported_losses(name) == []
            self.check()
            if not again:
                self.restart()
        assert self.outbox.depth().waiting == 0
        if any(PLACES[name].holds for name in self.sinks):
            assert self.outbox._db.execute("SELECT count(*) FROM queue").fetchone() == (0,)
        for name in self.sinks:
            for boot, report in self.peers[name].told.items():
                assert (report.lost, report.filtered >= self.filtered[boot]) == (self.lost[boot], True)
            for boot in {b for b, n in (self.lost + self.filtered).items() if n}:
                assert boot in self.peers[name].told, f"{name} was not told of {boot}"
