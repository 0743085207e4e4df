"""Any interleaving of pulls, deliveries, answers that get lost, refusals, kills, reloads and bounds keeps the outbox's promises."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.mutate import seed_bug
from tests.support.outbox_model import Model
from tests.support.states import run_states
from tinyfleet.gateway.outbox import Outbox, WhenFull
from tinyfleet.gateway.outbox_bounds import Bounds
from tinyfleet.gateway.outbox_losses import Losses
from tinyfleet.gateway.outbox_places import Places

BOOTS = [(b"A" * 16, 1), (b"A" * 16, 2), (b"A" * 16, 4), (b"B" * 16, 1)]
REGIONS = {b"A" * 16: None, b"B" * 16: "eu"}
sinks = st.sampled_from(["keeps", "europe", "live"])
names = st.sampled_from([["keeps"], ["keeps", "europe", "live"], ["europe", "keeps"], ["keeps", "live"], ["live"]])
STEPS = 40
indices = st.lists(st.integers(0, 30), max_size=3)


class OutboxStates(RuleBasedStateMachine):
    """The model's operations, drawn."""

    @initialize(names=names, max_age_s=st.sampled_from([None, 100]))
    def begin(self, names: list[str], max_age_s: int | None) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.model = Model(self.folder, names)
        self.model.configure(names, max_bytes=2**18, max_age_s=max_age_s, when_full=WhenFull.DROP_OLDEST)

    @rule(
        boot=st.sampled_from(BOOTS),
        priorities=st.lists(st.sampled_from([0, 0, 0, 1]), max_size=12),
        size=st.sampled_from([1, 30, 600]),
        lost=st.sampled_from([0, 0, 0, 2]),
        filtered=st.sampled_from([0, 0, 1]),
        covered=st.sampled_from([0, 0, 3]),
    )
    def append(self, boot: tuple[bytes, int], priorities: list[int], size: int, lost: int, filtered: int, covered: int) -> None:
        self.model.append(boot, priorities, size=size, lost=lost, filtered=filtered, covered=covered, region=REGIONS[boot[0]])

    @rule(boot=st.sampled_from(BOOTS))
    def append_much(self, boot: tuple[bytes, int]) -> None:
        self.model.append(boot, [0] * 60, size=600, lost=0, filtered=0, covered=0, region=REGIONS[boot[0]])

    @rule(boot=st.sampled_from(BOOTS))
    def append_stale(self, boot: tuple[bytes, int]) -> None:
        self.model.append_stale(boot)

    @rule(sink=sinks, limit=st.integers(1, 25), arrives=st.integers(0, 25))
    def offer(self, sink: str, limit: int, arrives: int) -> None:
        if sink in self.model.sinks:
            self.model.offer(sink, limit, arrives)

    @rule(sink=sinks, silent=indices, refused=indices)
    def answer(self, sink: str, silent: list[int], refused: list[int]) -> None:
        if sink in self.model.sinks:
            self.model.answer(sink, silent=silent, refused=refused)

    @rule(sink=sinks, limit=st.integers(1, 60), silent=indices, refused=indices)
    def deliver(self, sink: str, limit: int, silent: list[int], refused: list[int]) -> None:
        if sink in self.model.sinks:
            self.model.offer(sink, limit, limit)
            self.model.answer(sink, silent=silent, refused=refused)

    @rule(sink=sinks, boot=st.sampled_from(BOOTS))
    def failed_group(self, sink: str, boot: tuple[bytes, int]) -> None:
        if sink in self.model.sinks:
            self.model.failed_group(sink, boot)

    @rule(sink=sinks, boot=st.sampled_from(BOOTS))
    def crash_under_way(self, sink: str, boot: tuple[bytes, int]) -> None:
        if sink in self.model.sinks:
            self.model.offer(sink, 25, 25)
            self.model.crash()
            self.model.now_s += 150
            self.append_much(boot)

    @rule()
    def crash(self) -> None:
        self.model.crash()

    @rule()
    def restart(self) -> None:
        self.model.restart()

    @rule(seconds=st.sampled_from([1, 50, 150]))
    def wait(self, seconds: int) -> None:
        self.model.now_s += seconds

    @rule(
        names=names,
        max_bytes=st.sampled_from([2**18, 2**30]),
        max_age_s=st.sampled_from([None, 100]),
        when_full=st.sampled_from(WhenFull),
    )
    def configure(self, names: list[str], max_bytes: int, max_age_s: int | None, when_full: WhenFull) -> None:
        self.model.configure(names, max_bytes=max_bytes, max_age_s=max_age_s, when_full=when_full)

    @rule()
    def settle(self) -> None:
        self.model.outbox.settle()

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "model"):
            self.model.check()

    def teardown(self) -> None:
        if hasattr(self, "model"):
            try:
                self.model.drain()
            finally:
                self.model.outbox.close()
                shutil.rmtree(self.folder)


def test_no_interleaving_breaks_a_promise() -> None:
    run_states(OutboxStates, 50, steps=STEPS)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_no_interleaving_of_many_breaks_a_promise() -> None:
    # Other ones each time; what fails is printed as a program, shrunk.
    run_states(OutboxStates, 600, (Phase.generate, Phase.shrink), derandomize=False, steps=STEPS)


MUTANTS: dict[str, tuple[Callable[..., object], str, str]] = {
    "freed before the answer": (
        Outbox.batch,
        "place.unanswered.update(row[0] for row in rows)",
        "place.unanswered.update(row[0] for row in rows); self.acknowledge(sink, place.unanswered)",
    ),
    "freed when one sink has it": (Places._floor, "return min(", "return max("),
    "one place for all sinks": (
        Places._move,
        "place.positions[priority] = position",
        "[p.positions.update({priority: position}) for p in self.by_name.values()]",
    ),
    "place not saved": (Places._move, "self._db.execute(", "str("),
    "drop not counted": (Bounds._drop, "self._places.losses.charge(place, column,", "str((place, column,)) or str("),
    "dropped while under way": (Bounds._drop_some, "if row[0] not in under_way:", "if True:"),
    "under way forgotten at a restart": (Outbox._begin, "place.unanswered |= self._perhaps_delivered(place)", "pass"),
    "refused entries go": (Places._free_between, "WHERE holds AND", "WHERE NOT holds AND"),
    "silence taken for consent": (Places.advance, "for e in place.unanswered if", "for e in () if"),
    "what a group took is not given back": (Places.take_back, "place.unanswered |= entries", "pass"),
    "normal before urgent": (Outbox._next_rows, "sorted(self._lanes, reverse=True)", "sorted(self._lanes)"),
    "region not looked at": (Outbox._rows_ahead, "if self._places.has_regions else", "if False else"),
    "no gap record": (Outbox.append, "if lost else []", "if False else []"),
    "an ended boot is not declared": (Outbox.append, "if made:", "if False:"),
    "losses not reported": (Losses.charge, "place.has_news = True", "pass"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_seeded_bug_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_bug(monkeypatch, MUTANTS[name])
    with pytest.raises(Exception):  # noqa: B017 - however it shows
        run_states(OutboxStates, 50, [Phase.generate], steps=STEPS)
