"""Two profiles side by side, for a build that must not get dearer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyfleet_codegen.errors import ConfigError

FIGURES = ("instructions", "flash_bytes", "arena_bytes", "ram_bytes")
"""What may not grow."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure before and after."""

    name: str
    before: int
    after: int

    @property
    def percent(self) -> float:
        """Growth; infinite from nothing to something."""
        if self.before == 0:
            return 0.0 if self.after == 0 else float("inf")
        return 100 * (self.after / self.before - 1)


@dataclass(frozen=True, slots=True)
class ProfileComparison:
    """What changed.

    Attributes:
        figures: Of the whole model.
        layers: Instructions of the layers that both have and that changed, by ``op 3 (CONV_2D)``.
        exceeded: Names of the figures that grew by more than the threshold.
    """

    threshold_percent: float
    figures: tuple[Change, ...]
    layers: tuple[Change, ...]
    exceeded: tuple[str, ...]


def load_profile(path: Path) -> dict[str, Any]:
    """Read what ``profile --json`` printed.

    Raises:
        ConfigError: the file cannot be read or is no profile.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or any(not isinstance(data[name], int) for name in FIGURES):
            raise TypeError("figures are missing")
        _layers(data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{error} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(
            f"{path} is no profile: {reason}", hint="make one with: tinyfleet profile M.tflite --board B --json > before.json"
        ) from error
    return data


def compare_profiles(before: dict[str, Any], after: dict[str, Any], threshold_percent: float) -> ProfileComparison:
    """Compare two loaded profiles.

    Raises:
        ConfigError: they are of different boards.
    """
    if before.get("board") != after.get("board"):
        raise ConfigError(
            f"one profile is of {before.get('board')}, the other of {after.get('board')}", hint="compare two profiles of one board"
        )
    figures = tuple(Change(name, before[name], after[name]) for name in FIGURES)
    old, new = _layers(before), _layers(after)
    layers = tuple(Change(name, old[name], new[name]) for name in old if name in new and old[name] != new[name])
    exceeded = tuple(change.name for change in figures if change.percent > threshold_percent)
    return ProfileComparison(threshold_percent, figures, layers, exceeded)


def _layers(profile: dict[str, Any]) -> dict[str, int]:
    return {f"op {layer['op_index']} ({layer['op']}) {layer['output']}": int(layer["instructions"]) for layer in profile["layers"]}
