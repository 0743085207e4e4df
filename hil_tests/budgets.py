"""What each model may cost on each emulated board, in ``budgets.toml``; a cost may grow by 3 % before a test fails.

When a figure changed for a good reason, or got better, write the file again, and with it the tables and the picture of
``docs/guides/benchmark.md`` (one command, about two minutes; ``TINYFLEET_MLPERF_TINY`` names the models' folder)::

    python -m hil_tests.budgets             # every board that can be emulated
    python -m hil_tests.budgets mps2_an386  # one; the others stay
    python -m hil_tests.budgets --page      # measures nothing: the page from the file, after a merge
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support import mlperf, standins
from tinyfleet.bench.measure import Measurement, measure
from tinyfleet.board import load_board
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.errors import DoesNotFit
from tinyfleet_codegen.package import ModelPackage, load_package
from tinyfleet_codegen.target import board_names

FILE = Path(__file__).parent / "budgets.toml"
TOLERANCE = 0.03
LIMITED = ("instructions", "flash_bytes", "ram_bytes")
"""What may not grow; code and start-up have goals of their own."""
STANDIN = "kws_standin"
"""Seeded, so it can be measured where the MLPerf Tiny models are absent."""
_HEAD = """\
# Written by `python -m hil_tests.budgets`; hil_tests/budgets.py says how it is used. Executed instructions of one inference,
# bytes of the whole image of firmware/apps/bench and of arena + variables + used stack. The limits hold for this compiler.
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one model costs on one board; see :class:`tinyfleet.bench.measure.Measurement`."""

    instructions: int
    flash_bytes: int
    ram_bytes: int
    code_bytes: int
    startup_instructions: int

    @staticmethod
    def of(measurement: Measurement) -> Budget:
        """The budget that a measurement just meets."""
        return Budget(
            instructions=measurement.instructions,
            flash_bytes=measurement.flash.bytes,
            ram_bytes=measurement.ram_bytes,
            code_bytes=measurement.flash.code_bytes,
            startup_instructions=measurement.startup_instructions,
        )


Budgets = dict[str, dict[str, Budget]]
"""By board and model."""


def compiler_version() -> str:
    """First line of what the Arm compiler says about itself."""
    answer = subprocess.run([find_arm_gcc(), "--version"], capture_output=True, text=True, timeout=300, check=True)
    return answer.stdout.splitlines()[0]


def load_budgets() -> tuple[str, Budgets]:
    """The compiler that the budgets hold for, and the budgets."""
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    compiler = data.pop("compiler")
    return compiler, {board: {name: Budget(**entry) for name, entry in models.items()} for board, models in data.items()}


def exceeded(budget: Budget, cost: Budget) -> list[str]:
    """One line for each figure that is more than the tolerance above its budget."""
    figures = [(name, getattr(budget, name), getattr(cost, name)) for name in LIMITED]
    return [
        f"{name} {actual:,} is {actual / allowed - 1:.1%} above {allowed:,}"
        for name, allowed, actual in figures
        if actual > allowed * (1 + TOLERANCE)
    ]


def packages() -> Iterator[tuple[str, ModelPackage]]:
    """The stand-in and all MLPerf Tiny models that are there."""
    yield STANDIN, ModelPackage("kws", standins.kws())
    for model in mlperf.found_models():
        yield model.name, load_package(mlperf.path_of(model))


def refresh(boards: list[str]) -> None:
    """Measure and write; what is not measured stays."""
    compiler = compiler_version()
    if not mlperf.found_models():
        print(f"only the stand-in: {mlperf.VARIABLE} names no folder with the MLPerf Tiny models", file=sys.stderr)
    recorded, budgets = load_budgets() if FILE.is_file() else (compiler, {})
    if recorded != compiler:
        budgets = {}
    with tempfile.TemporaryDirectory() as folder:
        for board in boards:
            for name, package in packages():
                try:
                    measurement = measure(package, board, Path(folder))
                except DoesNotFit as error:
                    print(f"{board:<16}{name:<12} left out: {error}", file=sys.stderr)
                    continue
                old, new = budgets.setdefault(board, {}).get(name), Budget.of(measurement)
                budgets[board][name] = new
                change = f"{new.instructions / old.instructions - 1:+.1%}" if old else "new"
                print(f"{board:<16}{name:<12}{new.instructions:>14,}{new.flash_bytes:>10,}{new.ram_bytes:>10,}  {change}", file=sys.stderr)
    FILE.write_text(_printed(compiler, budgets), encoding="utf-8")


def _printed(compiler: str, budgets: Budgets) -> str:
    sections = [
        f"\n[{board}]\n" + "".join(f"{name} = {{ {_fields(budget)} }}\n" for name, budget in models.items())
        for board, models in sorted(budgets.items())
    ]
    return f'{_HEAD}compiler = "{compiler}"\n' + "".join(sections)


def _fields(budget: Budget) -> str:
    return ", ".join(f"{name} = {value:_}" for name, value in asdict(budget).items())


if __name__ == "__main__":
    from hil_tests.benchmark_page import write_page

    if sys.argv[1:] != ["--page"]:
        refresh(sys.argv[1:] or [board for board in board_names() if load_board(board).emulation is not None])
    write_page()
