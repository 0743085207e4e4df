"""``tinyfleet new``: the project that it writes builds, runs and passes its own test."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tinyfleet.project import create_project
from tinyfleet.train import parse_recipe
from tinyfleet_codegen.errors import UsageError

BOARD = "mps2_an386"


def test_project_is_whole_and_says_its_own_name_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / "lift_counter"
    files = create_project(folder, recipe="gesture", board=BOARD)
    assert sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) == list(files)
    for file in files:
        text = (folder / file).read_text(encoding="utf-8")
        assert "{{" not in text and "tinyfleet_zoo" not in text, file
    spec = parse_recipe((folder / "lift_counter/recipe.toml").read_text(encoding="utf-8"), "recipe.toml")
    assert spec.name == "lift_counter"
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["tinyfleet.recipes"] == {"lift_counter": "lift_counter"}
    assert tomllib.loads((folder / "rig.toml").read_text(encoding="utf-8"))["board"][0]["id"] == BOARD


@pytest.mark.parametrize("name", ["numpy", "Lift", "class", "x", "lift-counter", "1lift", "gesture recipe"])
def test_a_name_that_python_cannot_import_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        create_project(tmp_path / name, recipe="gesture", board=BOARD)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays_untouched(tmp_path: Path) -> None:
    (tmp_path / "lift_counter").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        create_project(tmp_path / "lift_counter", recipe="gesture", board=BOARD)


@pytest.mark.parametrize(("recipe", "board"), [("gesture", "none_such"), ("none_such", BOARD)])
def test_unknown_recipe_or_board_leaves_nothing_behind(tmp_path: Path, recipe: str, board: str) -> None:
    with pytest.raises(UsageError, match="none_such"):
        create_project(tmp_path / "lift_counter", recipe=recipe, board=board)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_project_trains_builds_runs_and_passes_its_own_test(tmp_path: Path) -> None:
    """As its README says, but installed beside this environment instead of into it."""
    folder, site = tmp_path / "my projects" / "lift_counter", tmp_path / "site"
    create_project(folder, recipe="gesture", board=BOARD)
    # Fewer epochs than the recipe's: enough for what the project's test asks. The demo's test trains with all of them.
    recipe = folder / "lift_counter/recipe.toml"
    text = recipe.read_text(encoding="utf-8")
    assert text.count("epochs = 25") == 1
    recipe.write_text(text.replace("epochs = 25", "epochs = 5"), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site), str(folder)]
    subprocess.run(pip, timeout=600, check=True)
    # Nothing of this run's pytest reaches the project's.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=folder, env=env | {"PYTHONPATH": str(site)}, capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
