"""Models are swapped: a second package beside the live one, a third over the first, and back to the second."""

from __future__ import annotations

from pathlib import Path

from tests.support.host_board import HostBoard, Mutant, build_host_board
from tests.support.model_board import ModelBoard, PowerOff, answer, some_input
from tests.support.model_swap import good_package, write_key
from tests.support.powercut.sweep import Flow
from tests.support.small_models import dense_package
from tinyfleet.model_package import read_package
from tinyfleet_codegen.wire.ids import Command, ModelPhase, ModelPlace, Status

SLOTS = (0x40000, 0xC0000)
MODELS = tuple(dense_package(name, seed, hidden=4) for name, seed in (("first", 11), ("second", 12), ("third", 13)))


class ModelFlow(Flow):
    """A board whose first package is live gets a second and a third one, and goes back to the second.

    What answers is told by its bits, and the live package must lie in its slot byte by byte as it was signed. No model answers
    that was not asked for; what was confirmed answers after every cut; never the built-in model: there is always a package to go
    back to, because none is erased that a cut could need.
    """

    name = "model swap"

    def __init__(self, folder: Path, mutants: tuple[Mutant, ...] = ()) -> None:
        key = write_key(folder)
        self.packages = [good_package(model, "host", key) for model in MODELS]
        self.input = some_input(1)
        self.answers = [answer(package, self.input) for package in self.packages]
        self.host = HostBoard(build_host_board(folder, mutants))
        self.flash = self.host
        self.board = ModelBoard(self.host)
        self.host.power_on()
        self.board.swap(self.packages[0])
        self._base = self.host.memory.raw
        self.allowed = {0}
        self.is_done = False

    def begin(self) -> None:
        """See :class:`Flow`."""
        self.allowed, self.is_done = {0}, False
        self.host.open(self._base)
        self.host.power_on()

    def run(self) -> None:
        """See :class:`Flow`."""
        try:
            if self.is_done:
                return
            for wanted in (1, 2):
                self._make_live(wanted)
            self.allowed = {1, 2}
            assert self.board.ask(Command.MODEL_REVERT)["generation"] >= 2
            self.allowed, self.is_done = {1}, True
        except PowerOff:
            pass

    def _make_live(self, wanted: int) -> None:
        if self._live() == wanted:
            return
        package = self.packages[wanted]
        assert self.board.push(package) is Status.OK
        # A cut may have left what was pushed before without the board knowing it by its hash: it is sent again then.
        assert self.board.status(Command.MODEL_TEST) is Status.OK
        assert self.board.free()["phase"] == ModelPhase.READY, Status(-self.board.free()["status"])
        self.allowed = {*self.allowed, wanted}
        self.board.ask(Command.MODEL_CONFIRM, digest=read_package(package).digest)
        self.allowed = {wanted}

    def _live(self) -> int | None:
        """Which model answers, by its bits; None: one that nobody asked for."""
        output = self.board.infer(self.input)
        return self.answers.index(output) if output in self.answers else None

    def verify(self) -> list[str]:
        """See :class:`Flow`."""
        self.host.power_on()
        try:
            return self._wrong()
        except PowerOff:
            return []

    def verify_done(self) -> list[str]:
        """See :class:`Flow`."""
        wrong = self._wrong()
        if self.board.models()["previous"] != ModelPlace.BUILT_IN or self._live() != 1:
            wrong.append("the second model is not live with the built-in one behind it")
        return wrong

    def _wrong(self) -> list[str]:
        live = self._live()
        if live not in self.allowed:
            return [f"model {live} answers, it could be {sorted(self.allowed)}"]
        assert live is not None
        self.allowed = {live}
        models = self.board.models()
        if not self._lies_there(models["live"], [self.packages[live]]):
            return [f"model {live} answers from place {models['live']}, where other bytes lie than were signed"]
        if models["previous"] != ModelPlace.BUILT_IN and not self._lies_there(models["previous"], self.packages):
            return [f"a revert would lead to place {models['previous']}, where no whole package lies"]
        return []

    def _lies_there(self, place: int, packages: list[bytes]) -> bool:
        if place == ModelPlace.BUILT_IN:
            return False
        return any(self.host.read(SLOTS[place - 1], len(package)) == package for package in packages)
