"""Recipes: found by name, read once, checked where they are read."""

from __future__ import annotations

from importlib import resources

import pytest

from tinyfleet.train import RecipeSpec, load_recipe, parse_recipe, recipe_names
from tinyfleet_codegen.errors import ConfigError, UsageError

TEXT = resources.files("tinyfleet_zoo.gesture").joinpath("recipe.toml").read_text(encoding="utf-8")


def spec_with(old: str, new: str) -> RecipeSpec:
    assert old in TEXT
    return parse_recipe(TEXT.replace(old, new), "recipe.toml")


def test_every_installed_recipe_loads_and_has_a_card() -> None:
    assert "gesture" in recipe_names()
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.spec.name == name
        assert recipe.card.startswith(f"# {name}")


def test_gesture_numbers_are_those_of_the_card() -> None:
    recipe = load_recipe("gesture")
    spec, card = recipe.spec, recipe.card
    assert (spec.frontend.window_samples, spec.frontend.hop_samples, spec.frontend.channels) == (100, 50, 6)
    assert f"{spec.frontend.window_samples} samples at {spec.frontend.sample_rate_hz:.0f} Hz" in card
    assert f"{spec.lsb_per_unit[0]:.0f} counts per g" in card
    assert f"{spec.lsb_per_unit[3]} counts per rad/s" in card
    assert all(label in card for label in spec.labels)


def test_unknown_recipe_is_a_usage_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'nothing'") as caught:
        load_recipe("nothing")
    assert "gesture" in str(caught.value.hint)


def test_a_subject_in_train_and_test_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\['7'\] are both in train and in test"):
        spec_with('test = ["8", "9", "10"]', 'test = ["7", "8"]')


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1\n", "version = 2\n"),
        ("window_samples = 100\n", ""),
        ("window_samples = 100", 'window_samples = "many"'),
        ("hop_samples = 50", "hop_samples = 101"),
        ("offset = [0, 1500, -600, 0, 0, 0]", "offset = [0, 1500, -600, 0, 0]"),
        ("offset = [0, 1500, -600, 0, 0, 0]", "offset = [0, 1500, -600, 0, 0, 40000]"),
        ('units = ["g", ', "units = ["),
        ("[training]", "[trainin"),
    ],
)
def test_a_wrong_recipe_is_a_config_error(old: str, new: str) -> None:
    with pytest.raises(ConfigError):
        spec_with(old, new)
