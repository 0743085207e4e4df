"""Our engine against TensorFlow Lite Micro with CMSIS-NN, on the same emulated core with the same models."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tinyfleet.bench.measure import Measurement, measure
from tinyfleet_codegen.errors import ConfigError, UsageError
from tinyfleet_codegen.package import load_package
from tinyfleet_codegen.target import load_target


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the other implementation needs for one model on one core; None where that is not known."""

    model: str
    file: str
    instructions: int | None
    flash_bytes: int | None
    ram_bytes: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model on one board: theirs and ours. Ratios below 1 are in our favour; None without a figure of theirs."""

    baseline: Baseline
    ours: Measurement

    @property
    def instructions_ratio(self) -> float | None:
        """Our instructions over theirs."""
        return _ratio(self.ours.instructions, self.baseline.instructions)

    @property
    def flash_ratio(self) -> float | None:
        """Our whole image over theirs."""
        return _ratio(self.ours.flash.bytes, self.baseline.flash_bytes)

    @property
    def ram_ratio(self) -> float | None:
        """Our arena, variables and stack over theirs."""
        return _ratio(self.ours.ram_bytes, self.baseline.ram_bytes)


def _ratio(ours: int, theirs: int | None) -> float | None:
    return None if theirs is None else ours / theirs


def load_baseline(path: Path, core: str) -> list[Baseline]:
    """Read the figures of one core, named as in ``-mcpu=``; the models are those of the file, also on a core without figures.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        cores = tomllib.loads(path.read_text(encoding="utf-8"))
        files = {name: str(entry["file"]) for models in cores.values() for name, entry in models.items()}
        return [_baseline(name, file, cores.get(core, {}).get(name, {})) for name, file in files.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{error} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(f"no baseline in {path}: {reason}", hint="the checkout holds it as hil_tests/baseline.toml") from error


def _baseline(name: str, file: str, entry: dict[str, Any]) -> Baseline:
    figures = [None if key not in entry else int(entry[key]) for key in ("instructions", "flash_bytes", "ram_bytes")]
    return Baseline(name, file, *figures)


def select(entries: Sequence[Baseline], only: Sequence[str]) -> list[Baseline]:
    """The entries of the models named in ``only``; empty: all.

    Raises:
        UsageError: there is no such model.
    """
    names = [entry.model for entry in entries]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(f"the baseline has no model '{unknown[0]}'", hint=f"models: {', '.join(names)}")
    return [entry for entry in entries if not only or entry.model in only]


def bench_engine(
    boards: Sequence[str],
    models: Path,
    baseline: Path,
    *,
    only: Sequence[str] = (),
    work_dir: Path | None = None,
    arena_budget_bytes: int | None = None,
) -> Iterator[Comparison]:
    """Measure each model of the baseline on each board; yields one comparison after the other.

    Args:
        models: Folder that holds the files which the baseline names.
        only: Names of models; empty: all.
        work_dir: Where it is built; None: a temporary folder.
        arena_budget_bytes: See :func:`tinyfleet_codegen.compile.compile_graph`.

    Raises:
        UsageError: there is no such board or model.
        ConfigError: a model or the baseline is missing.
        CompileError, BuildError, LinkError, ProtocolError: see :func:`tinyfleet.bench.measure.measure`.
    """
    entries = [(board, entry) for board in boards for entry in select(load_baseline(baseline, load_target(board).cpu), only)]
    with TemporaryDirectory(prefix="tinyfleet-bench-") as scratch:
        for board, entry in entries:
            folder = work_dir or Path(scratch)
            yield Comparison(entry, measure(load_package(models / entry.file), board, folder, arena_budget_bytes=arena_budget_bytes))
