"""Write the files of a new project."""

from __future__ import annotations

import importlib.util
import keyword
import re
from importlib import metadata, resources
from pathlib import Path

from tinyfleet.board import load_board
from tinyfleet.train.recipe import ENTRY_POINT_GROUP, load_recipe
from tinyfleet_codegen.errors import ConfigError, UsageError
from tinyfleet_codegen.firmware_tree import firmware_dir

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
_APP = "sensor"


def create_project(folder: Path, *, recipe: str, board: str) -> tuple[Path, ...]:
    """Make a project in a folder that does not exist yet; the folder's name is the project's and its package's.

    The recipe's files are copied, so that all of them are the user's to change.

    Args:
        folder: Where to; for example ``Path("lift_counter")``.
        recipe: Name of an installed recipe to begin with.
        board: Id of a board manifest.

    Returns:
        The files, relative to the folder, sorted.

    Raises:
        UsageError: the name cannot be a package's, the folder exists, or there is no such recipe or board.
        ConfigError: the folder cannot be written.
    """
    name = folder.name
    if folder.exists():
        raise UsageError(f"{folder} exists already", hint="choose another name, or remove it")
    _check_name(name)
    load_board(board)
    load_recipe(recipe)
    files = _recipe_files(name, recipe) | _template_files(name, recipe, board)
    for source in ("main.c", "app.json"):
        files[f"firmware/{name}/{source}"] = (firmware_dir() / "apps" / _APP / source).read_text(encoding="utf-8")
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename}: {error.strerror}", hint="choose a folder that you may write") from error
    return tuple(sorted(Path(path) for path in files))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(f"{name!r} cannot name a project", hint="2 to 40 of a-z, 0-9 and _, beginning with a letter: lift_counter")
    if importlib.util.find_spec(name) is not None:
        raise UsageError(f"{name!r} is the name of an installed Python package", hint="choose a name that nothing else has")


def _recipe_files(name: str, recipe: str) -> dict[str, str]:
    """The recipe's package under the new name, by path in the project."""
    (module,) = {entry.module for entry in metadata.entry_points(group=ENTRY_POINT_GROUP) if entry.name == recipe}
    files = {}
    for source in resources.files(module).iterdir():
        if source.is_file() and source.name.endswith((".py", ".toml", ".md")):
            text = source.read_text(encoding="utf-8").replace(module, name)
            if source.name == "recipe.toml":
                text = re.sub(r'(?m)^name = ".*"$', f'name = "{name}"', text, count=1)
            files[f"{name}/{source.name}"] = text
    return files


def _template_files(name: str, recipe: str, board: str) -> dict[str, str]:
    places = {
        "pyproject.toml.in": "pyproject.toml",
        "README.md.in": "README.md",
        "gitignore.in": ".gitignore",
        "rig.toml.in": "rig.toml",
        "test_project.py.in": f"tests/test_{name}.py",
    }
    folder = resources.files("tinyfleet.project") / "template"
    texts = {place: (folder / source).read_text(encoding="utf-8") for source, place in places.items()}
    return {
        place: text.replace("{{name}}", name).replace("{{recipe}}", recipe).replace("{{board}}", board) for place, text in texts.items()
    }
