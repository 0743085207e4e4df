"""Cuts a flow at each of its flash operations, once and twice, and asks the flash what became of it."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.flash_library import AFTER, BEFORE, TORN, FlashLibrary

MANNERS = {BEFORE: "before", TORN: "torn", AFTER: "after"}


class Flow(ABC):
    """Something that a board does with its flash, and that a host repeats until it is done.

    Attributes:
        name: For people.
        flash: The board's libraries over the host's flash.
    """

    name: str
    flash: FlashLibrary

    @abstractmethod
    def begin(self) -> None:
        """Power on over the same bytes each time, ready to run; nothing is promised yet."""

    @abstractmethod
    def run(self) -> None:
        """Do all of it, resets among it; return when it is done or the power is off. Called again, it takes up what is left."""

    @abstractmethod
    def verify(self) -> list[str]:
        """After a cut the power is on again: start the board, and compare with what was promised; what is wrong."""

    @abstractmethod
    def verify_done(self) -> list[str]:
        """After a run that nothing cut: what is wrong."""


@dataclass
class Report:
    """What was cut, and what went wrong."""

    cuts: int = 0
    double_cuts: int = 0
    kills: int = 0
    operations: set[tuple[str, int]] = field(default_factory=set)
    flows: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, object]:
        """For the summary."""
        return {
            "cuts": self.cuts,
            "double_cuts": self.double_cuts,
            "emulated_kills": self.kills,
            "distinct_ops": len(self.operations),
            "flows": sorted(self.flows),
            "violations": len(self.violations),
        }


@dataclass(frozen=True, slots=True)
class Cut:
    """Where power fails: at which operation, counted from 1, and how; ``seed`` chooses what a torn one leaves, 0: its first half."""

    operation: int
    how: int
    seed: int = 0

    def __str__(self) -> str:
        return f"{MANNERS[self.how]} operation {self.operation}" + (f" (seed {self.seed})" if self.seed else "")


class Sweep:
    """All cuts of one flow.

    Attributes:
        operations: How many a run takes that nothing cuts.
    """

    def __init__(self, flow: Flow, report: Report, seed: int = 1) -> None:
        self.flow = flow
        self.report = report
        self._random = random.Random(seed)
        report.flows.add(flow.name)
        flow.begin()
        flow.flash.cut(0, BEFORE)
        wrong = self._guarded(self._run)
        self.operations = flow.flash.operations()
        self._note([], wrong + self._guarded(flow.verify_done))
        assert self.operations > 0 and flow.flash.is_on(), f"{flow.name} does nothing to the flash"

    def cuts(self, tears: int = 1) -> Iterable[Cut]:
        """Every operation before, torn in its first half and after, and torn by chance so many times."""
        for operation in range(1, self.operations + 1):
            yield from (Cut(operation, BEFORE), Cut(operation, TORN), Cut(operation, AFTER))
            yield from (Cut(operation, TORN, self._random.randrange(1, 2**32)) for _ in range(tears))

    def sampled(self, count: int) -> Iterable[Cut]:
        """Some, with the first and the last operations among them: there the decisions are."""
        near = [*range(1, min(8, self.operations) + 1), *range(max(1, self.operations - 24), self.operations + 1)]
        for _ in range(count):
            operation = self._random.choice(near) if self._random.random() < 0.5 else self._random.randint(1, self.operations)
            yield Cut(operation, self._random.choice((BEFORE, TORN, AFTER)), self._random.choice((0, self._random.randrange(1, 2**32))))

    def single(self, cut: Cut) -> None:
        """Cut once, start, and let the host repeat the flow to its end."""
        self._cut_first(cut)
        self.report.cuts += 1
        self._note([cut], self._finish())

    def double(self, first: Cut, second: Cut) -> None:
        """Cut again while what the first cut left is put right; not counted when that takes fewer operations."""
        self._cut_first(first)
        flash = self.flow.flash
        flash.cut(second.operation, second.how)
        flash.c.tyf_host_flash_tear(second.seed)
        wrong = self._guarded(self.flow.verify) if flash.is_on() else []
        if flash.is_on():
            wrong += self._guarded(self._run)
        if flash.is_on():
            return  # Nothing was left to be cut there.
        self.report.double_cuts += 1
        self._note([first, second], wrong)
        self._power_on()
        self._note([first, second], self._finish())

    def doubles(self, count: int, enough: Callable[[], bool] = lambda: False) -> None:
        """So many of them, sampled."""
        begin = self.report.double_cuts
        while self.report.double_cuts < begin + count and not enough():
            (first,) = self.sampled(1)
            self.double(first, Cut(self._random.choice((1, 2, 3, self._random.randint(1, self.operations))), *self._manner()))

    def _manner(self) -> tuple[int, int]:
        return self._random.choice((BEFORE, TORN, AFTER)), self._random.choice((0, self._random.randrange(1, 2**32)))

    def _cut_first(self, cut: Cut) -> None:
        flow = self.flow
        flow.begin()
        flow.flash.c.tyf_host_flash_tear(cut.seed)
        flow.flash.cut(cut.operation, cut.how)
        wrong = self._guarded(self._run)
        if flow.flash.is_on():
            wrong.append("the cut did not happen")
        self.report.operations.add((flow.name, cut.operation))
        self._note([cut], wrong)
        self._power_on()

    def _power_on(self) -> None:
        self.flow.flash.cut(0, BEFORE)
        self.flow.flash.c.tyf_host_flash_tear(0)
        self.flow.flash.c.tyf_host_flash_power_on()

    def _run(self) -> list[str]:
        self.flow.run()
        return []

    def _finish(self) -> list[str]:
        wrong = self._guarded(self.flow.verify) + self._guarded(self._run) + self._guarded(self.flow.verify_done)
        if count := self.flow.flash.c.tyf_host_flash_violations():
            wrong.append(f"{count} operations against the rules of the flash")
        return wrong

    def _guarded(self, step: Callable[[], list[str]]) -> list[str]:
        """What is wrong; a host that could not go on is too."""
        try:
            return step()
        except AssertionError as error:
            return [f"the flow cannot go on: {error}"]

    def _note(self, cuts: list[Any], wrong: list[str]) -> None:
        where = ", then ".join(map(str, cuts)) or "no cut"
        self.report.violations += [f"{self.flow.name}: {where}: {text}" for text in wrong]
