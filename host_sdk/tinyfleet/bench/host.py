"""The C engine on this machine against TFLite Micro's interpreter: processor time of one inference, as a ratio.

Both are called from Python for one input at a time, in one thread and in turns; both compute in that thread. The shortest time of all
rounds counts. It is the thread's own time: on a busy machine wall time measures the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinyfleet.bench.measure import CASE, SEED
from tinyfleet.cases import Array, Cases
from tinyfleet.engine import HostModel
from tinyfleet.oracle import TfliteMicroOracle
from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.tflite.reader import read_tflite

ROUNDS = 40
_ROUND_S = 0.01
"""A round repeats an inference for at least about this long, so that the clock's resolution does not matter."""


@dataclass(frozen=True, slots=True)
class HostComparison:
    """One model on this machine; seconds are of one inference."""

    model: str
    interpreter: str
    theirs_s: float
    ours_s: float

    @property
    def ratio(self) -> float:
        """Our time over theirs."""
        return self.ours_s / self.theirs_s


def compare_on_host(package: ModelPackage, *, rounds: int = ROUNDS) -> HostComparison:
    """Run the same input through both, ``rounds`` times in turns.

    Raises:
        SetupError: tflite-micro or a C compiler is missing.
        CompileError, BuildError: see :mod:`tinyfleet_codegen.errors`.
        ProtocolError: the two computed different bytes.
    """
    model = HostModel(package)
    interpreter = TfliteMicroOracle(package.tflite, read_tflite(package.tflite, package.name))
    x = Cases(model.compiled, SEED).input(CASE)
    if model.run(x).tobytes() != interpreter.run(x).tobytes():
        raise ProtocolError(f"{package.name} on the host computed other bytes than {interpreter.name}", hint="tinyfleet verify --on host")
    theirs, ours = _shortest([interpreter.run, model.run], x, rounds)
    return HostComparison(package.name, interpreter.name, theirs, ours)


def _shortest(runs: Sequence[Callable[[Array], Array]], x: Array, rounds: int) -> list[float]:
    """Seconds of one call of each."""
    repeats = [max(1, round(_ROUND_S / max(_seconds(run, x, 1), 1e-6))) for run in runs]
    rows = [[_seconds(run, x, count) / count for run, count in zip(runs, repeats, strict=True)] for _ in range(rounds)]
    return [min(column) for column in zip(*rows, strict=True)]


def _seconds(run: Callable[[Array], Array], x: Array, count: int) -> float:
    start = time.thread_time()
    for _ in range(count):
        run(x)
    return time.thread_time() - start
