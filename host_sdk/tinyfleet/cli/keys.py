"""``tinyfleet keys``: the keys that sign firmware and models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json

if TYPE_CHECKING:
    from tinyfleet.signing_keys import SigningKeys


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="keys", help="The keys that sign firmware and models.", no_args_is_help=True)
    group.command("new", epilog="Example: tinyfleet keys new --release -o ~/tinyfleet-keys")(new_command)
    group.command("show", epilog="Example: tinyfleet keys show ~/tinyfleet-keys")(show_command)
    app.add_typer(group)


def new_command(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where to; default: development keys.")] = None,
    release: Annotated[bool, typer.Option("--release", help="Keys for releases: keep them offline.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a firmware key and a model key, readable for you only."""
    from tinyfleet.signing_keys import development_dir, new_keys  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.errors import UsageError  # noqa: PLC0415

    if release and output is None:
        raise UsageError("keys for releases are kept outside the project", hint="name a folder: --output DIR")
    _print(new_keys(output or development_dir(), is_release=release), as_json)


def show_command(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Folder of the keys; default: development keys.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the public halves, and their hashes as images name them."""
    from tinyfleet.signing_keys import development_dir, find_keys  # noqa: PLC0415 - keeps --help fast

    _print(find_keys(folder or development_dir()), as_json)


def _print(keys: SigningKeys, as_json: bool) -> None:
    from tinyfleet.signing_keys import is_development, key_hash, key_id, public_key  # noqa: PLC0415

    found = [("firmware", keys.firmware), ("model", keys.model)]
    if as_json:
        print_json(
            {
                name: {
                    "path": path,
                    "public": public_key(path),
                    "hash": key_hash(public_key(path)),
                    "development": is_development(path),
                }
                for name, path in found
            }
        )
        return
    print_facts((name, f"{key_id(public_key(path))}  {path}{' (development)' if is_development(path) else ''}") for name, path in found)
