"""What instructions may cost in cycles, from the tables that Arm publishes, with memory that never lets the core wait.

An estimate, kept apart from counts: each model states its rules, what it leaves open, and what is known of its error. Cores whose
timings are not published, or of which no table per instruction can say much, have no model but a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Executed(NamedTuple):
    """One instruction as the models see it.

    Attributes:
        stem: Its mnemonic without width and suffix of the size, for example ``ldr``.
        kind: Its class: ``load``, ``store``, ``multiply``, ``branch`` or ``other``.
        words: That it loads or stores, the program counter among them; 0 if it does neither.
        loads_pc: It ends a function with a load of the program counter.
    """

    stem: str
    kind: str
    words: int
    loads_pc: bool


@dataclass(frozen=True, slots=True)
class Cycles:
    """The usual cost and the bounds between which it lies."""

    lowest: int
    usual: int
    highest: int

    def __add__(self, other: Cycles) -> Cycles:
        return Cycles(self.lowest + other.lowest, self.usual + other.usual, self.highest + other.highest)

    def times(self, count: int) -> Cycles:
        """So often."""
        return Cycles(self.lowest * count, self.usual * count, self.highest * count)


def always(count: int) -> Cycles:
    """A cost that is known."""
    return Cycles(count, count, count)


@dataclass(frozen=True, slots=True)
class CycleModel:
    """Rules for one core.

    Attributes:
        cost: Of one instruction, without what a load after a load saves and a branch that is taken costs.
        taken: What a branch that is taken costs beside.
        saved_by_load_after_load: By a load of one word straight after another.
    """

    name: str
    assumptions: str
    error: str
    cost: Callable[[Executed], Cycles]
    taken: Cycles
    saved_by_load_after_load: int


def _cortex_m4(executed: Executed) -> Cycles:
    if executed.words:
        return always(1 if executed.kind == "store" and executed.words == 1 else 1 + executed.words)
    if executed.stem.startswith(("sdiv", "udiv")):
        return always(7)
    return always(14 if executed.stem.startswith(("vdiv", "vsqrt")) else 1)


_CORTEX_M3_SLOW = {("mla", "mls"): always(2), ("smull", "umull"): Cycles(3, 4, 5), ("smlal", "umlal"): Cycles(4, 5, 7)} | {
    ("sdiv", "udiv"): Cycles(2, 7, 12)
}


def _cortex_m3(executed: Executed) -> Cycles:
    return next((cost for stems, cost in _CORTEX_M3_SLOW.items() if executed.stem.startswith(stems)), _cortex_m4(executed))


def _armv6m(executed: Executed) -> Cycles:
    if executed.words:
        return always(1 + executed.words + executed.loads_pc)
    if executed.stem.startswith("mul"):
        return Cycles(1, 1, 32)
    return always({"bl": 2, "mrs": 3, "msr": 3}.get(executed.stem, 1))


_ZERO_WAIT = "no wait states"
_V7M_RULES = (
    "load 2 cycles, 1 straight after another load; several words 1 + words; store and all else 1; a branch that is taken, or a load of the"
    " program counter, 2 more (lowest and highest: 1 and 3); "
)
_V6M_RULES = (
    "load and store 2 cycles, several words 1 + words, one more when the program counter is among them; all else 1; a branch that is taken"
    " {taken} more, with link one more again; multiplication 1 (highest: 32, as with the small multiplier that a chip may have); "
)
_V6M_ERROR = "never compared with a board; code and data share one bus, and flash is often slower than the core: both come on top"

MODELS: dict[str, CycleModel] = {
    "cortex-m4": CycleModel(
        "cortex-m4-zero-wait",
        f"{_V7M_RULES}integer division 7; floating-point division and root 14; {_ZERO_WAIT}",
        "never compared with a board that runs this firmware; for other int8 kernels and four models much the same rules gave 2 to 10 %"
        " fewer cycles than published measurements of a Cortex-M33 at 128 MHz, and 20 to 30 % fewer than of a Cortex-M4 at 120 MHz whose"
        " flash has wait states",
        _cortex_m4,
        Cycles(1, 2, 3),
        1,
    ),
    "cortex-m3": CycleModel(
        "cortex-m3-zero-wait",
        f"{_V7M_RULES}multiply and add 2, long products 4 and with a sum 5 (3 to 5, 4 to 7), integer division 7 (2 to 12); {_ZERO_WAIT}",
        "never compared with a board; flash with wait states comes on top",
        _cortex_m3,
        Cycles(1, 2, 3),
        1,
    ),
    "cortex-m0plus": CycleModel("cortex-m0plus-zero-wait", f"{_V6M_RULES.format(taken=1)}{_ZERO_WAIT}", _V6M_ERROR, _armv6m, always(1), 0),
    "cortex-m0": CycleModel("cortex-m0-zero-wait", f"{_V6M_RULES.format(taken=2)}{_ZERO_WAIT}", _V6M_ERROR, _armv6m, always(2), 0),
}
"""By ``-mcpu=``."""

_PAIRS = "it executes two instructions at a time where it can, from caches: a sum over instructions would say little"
NO_MODEL: dict[str, str] = {
    "cortex-m33": "Arm publishes no cycles per instruction for it",
    "cortex-m7": _PAIRS,
    "cortex-m55": "vector instructions overlap beat by beat: a sum over instructions would say little",
}
"""Why a core has none, for people."""


def why_no_model(cpu: str) -> str:
    """The reason, or that nobody has written one."""
    return NO_MODEL.get(cpu, f"there is no model of {cpu}")
