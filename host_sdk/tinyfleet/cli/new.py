"""``tinyfleet new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("new", epilog="Example: tinyfleet new lift_counter --recipe gesture --board mps2_an386")(new_command)


def new_command(
    name: Annotated[Path, typer.Argument(metavar="NAME", help="Folder to make; its name is the project's, as in lift_counter.")],
    recipe: Annotated[str, typer.Option(help="Recipe to begin with; see tinyfleet zoo list.")],
    board: Annotated[str, typer.Option(help="Board id, for example mps2_an386.")],
    as_json: JsonFlag = False,
) -> None:
    """Begin a project of your own: recipe, firmware app, rig file, test."""
    from tinyfleet.project import create_project  # noqa: PLC0415 - keeps --help fast

    files = create_project(name, recipe=recipe, board=board)
    if as_json:
        print_json(
            {"project": name.name, "folder": str(name.absolute()), "recipe": recipe, "board": board, "files": [str(f) for f in files]}
        )
        return
    print_facts(
        [
            ("project", f"{name.name}, from recipe {recipe} for {board}"),
            *[("wrote" if i == 0 else "", str(name / file)) for i, file in enumerate(files)],
            ("next", f"cd {name} && pip install -e '.[test]' && pytest"),
        ]
    )
