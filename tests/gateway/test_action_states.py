"""Any interleaving of rules that act, targets that take, refuse or are silent, kills, reloads and bounds keeps the promises of actions."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.mutate import seed_bug
from tests.support.states import run_states
from tinyfleet.gateway.outbox import CursorMoved, Outbox, SinkPlace, WhenFull
from tinyfleet.gateway.outbox_actions import BYTES_SHARE, ActionQueue
from tinyfleet.gateway.outbox_schema import NewDerived

BOOTS = [(b"A" * 16, 1), (b"A" * 16, 2), (b"B" * 16, 1)]
TARGETS = ("fall/webhook", "fall/mqtt", "fall/device")
AGE_S = 100
MAX_BYTES = 2**18
KEY = bytes(range(32))
STEPS = 30
targets = st.sampled_from(TARGETS)
some = st.sampled_from([TARGETS, TARGETS, TARGETS[1:], TARGETS[:1], ()])


@dataclass
class Told:
    """What must be true of a target.

    Attributes:
        made: Keys in the order in which rules acted, and when.
        boots: What they are about.
        sizes: Bytes of what is kept.
        arrived: In the order of their first coming.
        ended: Booked as done or as given up.
    """

    made: dict[str, float] = field(default_factory=dict)
    boots: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    arrived: dict[str, None] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)


class ActionStates(RuleBasedStateMachine):
    """A real outbox, and what must wait in it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.lives = 0
        self.now_s = 1000.0
        self.known = list(TARGETS)
        self.told = {name: Told() for name in TARGETS}
        self.removed = 0
        self.number = 0
        self.cursors = dict.fromkeys(BOOTS, 0)
        self.outbox = self.opened()

    def opened(self) -> Outbox:
        return Outbox(
            self.folder / f"outbox{self.lives}.db",
            gateway_id="gw",
            max_bytes=MAX_BYTES,
            targets=dict.fromkeys(self.known, AGE_S),
            key=lambda _: KEY,
            clock_s=lambda: self.now_s,
        )

    @rule(boot=st.sampled_from(BOOTS), names=some, size=st.sampled_from([1, 1, 6000]), is_stale=st.booleans())
    def fire(self, boot: tuple[bytes, int], names: tuple[str, ...], size: int, is_stale: bool) -> None:
        detection = NewDerived("detection", json.dumps({"rule": "x" * size}).encode(), 7, 7, targets=names)
        if is_stale:
            with pytest.raises(CursorMoved):
                self.outbox.append(*boot, [], since=self.cursors[boot] + 1, next_seq=99, lost=0, derived=[detection])
            return
        before = {name: self.waiting(name) for name in self.known}
        self.outbox.append(*boot, [], since=self.cursors[boot], next_seq=self.cursors[boot] + 1, lost=0, derived=[detection])
        self.cursors[boot] += 1
        self.number += 1
        for name in set(names) & set(self.known):
            key = f"{self.outbox.outbox_id.hex()}/detection/{self.number}"
            told = self.told[name]
            told.made[key], told.boots[key], told.sizes[key] = self.now_s, boot, len(detection.body) + 16
            now = self.waiting(name)
            assert now[-1] == key
            assert now == [*before[name], key][-len(now) :], "not the oldest went"
            bound = MAX_BYTES // BYTES_SHARE // len(self.known)
            held = sum(told.sizes[k] for k in now)
            assert held <= bound or len(now) == 1
            # What is too old goes as well.
            gone = [k for k in before[name][: len(before[name]) + 1 - len(now)] if self.now_s - told.made[k] <= AGE_S]
            if gone:
                assert held + told.sizes[gone[-1]] > bound, "more went than had to"

    def waiting(self, name: str) -> list[str]:
        """Keys that wait, whatever their age."""
        rows = self.outbox._db.execute("SELECT number FROM action WHERE target = ? ORDER BY id", (name,)).fetchall()
        return [f"{self.outbox.outbox_id.hex()}/detection/{row[0]}" for row in rows]

    @rule(name=targets, limit=st.integers(1, 3), ends=st.sampled_from(["done", "given_up", "silence"]), boot=st.sampled_from(BOOTS))
    def act(self, name: str, limit: int, ends: str, boot: tuple[bytes, int]) -> None:
        if name not in self.known:
            return
        told, queue = self.told[name], self.outbox.actions
        before = self.waiting(name)
        if name.endswith("/device"):
            taken = queue.next_commands(*boot, limit)
            assert all((a.device_id, a.boot_id) == boot for a in taken)
            rows = self.outbox._db.execute("SELECT number, device_id, boot_id FROM action JOIN boot ON boot.id = boot WHERE is_command")
            assert not [row for row in rows if row[1] == boot[0] and row[2] != boot[1]], "a command outlasts its boot"
            # What another boot of the device was to do.
            told.given_up |= {k for k in before if told.boots[k][0] == boot[0] and told.boots[k] != boot}
        else:
            taken = queue.next(name, limit)
            assert [a.key for a in taken] == self.waiting(name)[:limit]
        # Ages are whole seconds.
        assert all(self.now_s - told.made[a.key] <= AGE_S + 1 for a in taken), "an old one was done"
        for action in taken:
            assert action.target == name and action.seq == 7 and action.body["rule"].startswith("x")
            if ends != "given_up":
                told.arrived.setdefault(action.key)
            if ends == "done":
                queue.done(action.id)
                queue.done(action.id)
                told.done.add(action.key)
            elif ends == "given_up":
                queue.give_up(action.id, "no")
                told.given_up.add(action.key)

    @rule()
    def device_restarts(self) -> None:
        """With commands on their way."""
        self.fire(BOOTS[0], TARGETS, 1, False)
        self.act("fall/device", 3, "done", BOOTS[1])

    @rule()
    def crash(self) -> None:
        """SIGKILL: what the files hold at this moment is all that is left."""
        self.lives += 1
        for suffix in ("", "-wal"):
            old = Path(f"{self.outbox.path}{suffix}")
            if old.exists():
                shutil.copy(old, self.folder / f"outbox{self.lives}.db{suffix}")
        age_s = self.outbox._age_s()
        self.outbox.close()
        self.outbox = self.opened()
        # Age goes on from the last commit.
        lost_s = age_s - self.outbox._age_s()
        for told in self.told.values():
            told.made = {key: made_s + lost_s for key, made_s in told.made.items()}

    @rule(seconds=st.sampled_from([1, 60, 120]))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    @rule(names=some)
    def configure(self, names: tuple[str, ...]) -> None:
        for name in set(self.known) - set(names):
            self.removed += len(self.waiting(name)) + self.undone(name)
        ages = dict.fromkeys(names, AGE_S)
        self.outbox.configure([SinkPlace("http")], max_bytes=MAX_BYTES, max_age_s=None, when_full=WhenFull.DROP_OLDEST, targets=ages)
        for name in set(names) - set(self.known):
            self.told[name] = Told()
        self.known = list(names)

    def undone(self, name: str) -> int:
        """Given up or dropped."""
        told = self.told[name]
        return len(told.made) - len(told.done) - len(self.waiting(name))

    @invariant()
    def holds(self) -> None:
        totals = {t.name: t for t in self.outbox.actions.totals()}
        assert totals.keys() == set(self.known)
        for name, t in totals.items():
            told, waiting = self.told[name], self.waiting(name)
            assert not set(waiting) & (told.done | told.given_up)
            gone = told.made.keys() - set(waiting) - told.done - told.given_up
            assert (t.waiting, t.done, t.given_up, t.dropped) == (len(waiting), len(told.done), len(told.given_up), len(gone)), name
            size = self.outbox._db.execute("SELECT waiting_bytes FROM target WHERE name = ?", (name,)).fetchone()[0]
            assert size == sum(told.sizes[key] for key in waiting)
            order = [key for key in told.arrived if not name.endswith("/device")]
            assert order == sorted(order, key=lambda key: int(key.rpartition("/")[2]))
        alarms = [json.loads(d.body) for d in self.outbox.batch("http", 5000, 2**30).derived if d.kind == "alarm"]
        assert {a["reason"] for a in alarms} <= {"actions not done"}
        assert sum(a["count"] for a in alarms) == self.removed + sum(self.undone(name) for name in self.known), "not declared"

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.folder)


def test_no_interleaving_breaks_a_promise() -> None:
    run_states(ActionStates, 40, steps=STEPS)


@pytest.mark.full
def test_no_interleaving_of_many_breaks_a_promise() -> None:
    run_states(ActionStates, 600, (Phase.generate, Phase.shrink), derandomize=False, steps=STEPS)


MUTANTS: dict[str, tuple[Callable[..., object], str, str]] = {
    "not kept": (Outbox._insert, "self.actions.add(boot, number, d)", "pass"),
    "newest first": (ActionQueue._taken, "ORDER BY action.id LIMIT", "ORDER BY action.id DESC LIMIT"),
    "done and still there": (ActionQueue.done, '" AND id = ?"', '" AND id = ? + 1"'),
    "given up in silence": (ActionQueue._alarm, "self._declare(", "str("),
    "a rule is gone and nobody knows": (
        ActionQueue.configure,
        "self._drop(name,",
        "self._db.execute('DELETE FROM action WHERE target = ?', (name,)) or print(",
    ),
    "never too old": (ActionQueue._has_old, "first is not None and", "False and"),
    "too many": (ActionQueue.add, "self._make_room(target)", "pass"),
    "all go where one must": (ActionQueue._make_room, "excess_bytes > 0 and", "True and"),
    "a command outlasts its boot": (ActionQueue.next_commands, "boot_id != ?", "boot_id > ? + 1000"),
    "two targets are one": (ActionQueue.add, "for target in derived.targets:", "for target in derived.targets[:1]:"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_seeded_bug_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_bug(monkeypatch, MUTANTS[name])
    with pytest.raises(Exception):  # noqa: B017 - however it shows
        run_states(ActionStates, 100, steps=STEPS)
