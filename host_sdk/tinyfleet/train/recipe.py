"""Recipes: what is needed to make one model, found through the entry point group ``tinyfleet.recipes``.

A recipe is a package with ``recipe.toml`` and two functions, ``load_recordings(spec)`` and ``build_network(spec)``.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Any

from tinyfleet.train.recording import Recording
from tinyfleet_codegen.errors import ConfigError, SetupError, UsageError
from tinyfleet_codegen.package import FrontEnd

ENTRY_POINT_GROUP = "tinyfleet.recipes"
RECIPE_VERSION = 1


@dataclass(frozen=True, slots=True)
class RecipeSpec:
    """The numbers of a ``recipe.toml``.

    Attributes:
        data: Where the recordings come from; its keys are the recipe's own.
        channel_names: One name per channel of a sample.
        units: Physical unit of each channel.
        lsb_per_unit: Raw counts of one physical unit, per channel.
        input_scale: Scale that the quantized model's input has; the features are rounded to it before training.
        input_zero_point: Zero point of the quantized model's input.
        train_subjects: People whose recordings train and calibrate the model.
        test_subjects: People whom neither saw; the first one is replayed by the demo.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    data: dict[str, str]
    channel_names: tuple[str, ...]
    units: tuple[str, ...]
    lsb_per_unit: tuple[float, ...]
    frontend: FrontEnd
    input_scale: float
    input_zero_point: int
    train_subjects: tuple[str, ...]
    test_subjects: tuple[str, ...]
    seed: int
    epochs: int
    batch_size: int
    learning_rate: float
    calibration_windows: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe's numbers and code.

    Attributes:
        card: The model card, Markdown.
        load_recordings: All recordings; reads installed files only.
        build_network: An untrained Keras model, batch size open.
    """

    spec: RecipeSpec
    card: str
    load_recordings: Callable[[RecipeSpec], tuple[Recording, ...]]
    build_network: Callable[[RecipeSpec], Any]


def parse_recipe(text: str, source: str) -> RecipeSpec:
    """Read a ``recipe.toml``.

    Args:
        source: What to call the text in an error.

    Raises:
        ConfigError: a key is missing or wrong, the version is unknown, or a subject is in two parts.
    """
    try:
        raw = tomllib.loads(text)
        if raw["version"] != RECIPE_VERSION:
            raise ConfigError(f"{source} has version {raw['version']}, this code reads {RECIPE_VERSION}", hint="update tinyfleet")
        samples, frontend, training = raw["samples"], raw["frontend"], raw["training"]
        spec = RecipeSpec(
            name=str(raw["name"]),
            title=str(raw["title"]),
            labels=tuple(str(v) for v in raw["labels"]),
            data={str(k): str(v) for k, v in raw["data"].items()},
            channel_names=tuple(str(v) for v in samples["channels"]),
            units=tuple(str(v) for v in samples["units"]),
            lsb_per_unit=tuple(float(v) for v in samples["lsb_per_unit"]),
            frontend=FrontEnd(
                window_samples=int(frontend["window_samples"]),
                hop_samples=int(frontend["hop_samples"]),
                sample_rate_hz=float(samples["sample_rate_hz"]),
                offset=tuple(int(v) for v in frontend["offset"]),
                gain=tuple(float(v) for v in frontend["gain"]),
            ),
            input_scale=float(frontend["input_scale"]),
            input_zero_point=int(frontend["input_zero_point"]),
            train_subjects=tuple(str(v) for v in raw["split"]["train"]),
            test_subjects=tuple(str(v) for v in raw["split"]["test"]),
            seed=int(training["seed"]),
            epochs=int(training["epochs"]),
            batch_size=int(training["batch_size"]),
            learning_rate=float(training["learning_rate"]),
            calibration_windows=int(raw["quantize"]["calibration_windows"]),
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{source} is not a valid recipe: {error!r}") from error
    both = set(spec.train_subjects) & set(spec.test_subjects)
    if both:
        raise ConfigError(f"{source}: subjects {sorted(both)} are both in train and in test")
    if not len(spec.channel_names) == len(spec.units) == len(spec.lsb_per_unit) == spec.frontend.channels:
        raise ConfigError(f"{source}: channels, units, lsb_per_unit, offset and gain must have one value per channel")
    return spec


def recipe_names() -> tuple[str, ...]:
    """Names of all installed recipes, sorted."""
    return tuple(sorted(entry.name for entry in metadata.entry_points(group=ENTRY_POINT_GROUP)))


def load_recipe(name: str) -> Recipe:
    """Find one recipe by name.

    Raises:
        UsageError: there is no such recipe.
        ConfigError: its ``recipe.toml`` is wrong.
        SetupError: its package cannot be imported.
    """
    entry = next((e for e in metadata.entry_points(group=ENTRY_POINT_GROUP) if e.name == name), None)
    if entry is None:
        raise UsageError(f"there is no recipe {name!r}", hint=f"installed recipes: {', '.join(recipe_names()) or 'none'}")
    try:
        module = importlib.import_module(entry.module)
    except ImportError as error:
        raise SetupError(f"recipe {name} cannot be imported: {error}", hint="install the package that it needs") from error
    folder = resources.files(entry.module)
    spec = parse_recipe((folder / "recipe.toml").read_text(encoding="utf-8"), f"{name}/recipe.toml")
    card = (folder / "README.md").read_text(encoding="utf-8")
    return Recipe(spec, card, module.load_recordings, module.build_network)
