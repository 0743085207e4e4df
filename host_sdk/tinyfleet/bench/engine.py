"""Our engine against TensorFlow Lite Micro with CMSIS-NN, on the same emulated core with the same models."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.profile import ModelProfile, profile_model
from tinyfleet_codegen.errors import ConfigError
from tinyfleet_codegen.package import load_package
from tinyfleet_codegen.target import load_target


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the other implementation needs for one model on one core."""

    model: str
    file: str
    instructions: int
    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model: theirs and ours. Ratios below 1 are in our favour."""

    baseline: Baseline
    profile: ModelProfile

    @property
    def instructions_ratio(self) -> float:
        """Our instructions over theirs."""
        return self.profile.instructions / self.baseline.instructions


def load_baseline(path: Path, core: str) -> list[Baseline]:
    """Read the figures of one core, named as in ``-mcpu=``.

    Raises:
        ConfigError: the file cannot be read or has nothing for that core.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return [
            Baseline(name, str(m["file"]), int(m["instructions"]), int(m["flash_bytes"]), int(m["ram_bytes"]))
            for name, m in data[core].items()
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"no baseline for {core} in {path}: {error!r}", hint="the checkout holds it as hil_tests/baseline.toml"
        ) from error


def bench_engine(board: str, models: Path, baseline: Path) -> Iterator[Comparison]:
    """Profile each model of the baseline; yields one comparison after the other.

    Args:
        models: Folder that holds the files which the baseline names.

    Raises:
        UsageError: there is no such board.
        ConfigError: a model or the baseline is missing.
    """
    for entry in load_baseline(baseline, load_target(board).cpu):
        yield Comparison(entry, profile_model(load_package(models / entry.file), board))
