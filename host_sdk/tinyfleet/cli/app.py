"""The command tree and its exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Annotated

import click
import typer

from tinyfleet import __version__
from tinyfleet.cli.output import print_error
from tinyfleet_codegen.errors import TinyfleetError, UsageError

COMMANDS: tuple[str, ...] = (
    "demo",
    "doctor",
    "new",
    "zoo",
    "quantize",
    "compile",
    "verify",
    "profile",
    "bench",
    "gateway",
    "cloud",
    "build",
    "flash",
    "monitor",
    "emulate",
    "fleet",
    "air",
    "device",
    "model",
    "keys",
    "firmware",
)
"""Modules of this package; each has ``register(app)``, which adds its command or its group of commands."""

app = typer.Typer(
    name="tinyfleet",
    help="From a dataset to a fleet of Cortex-M boards, every step proved on a laptop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tinyfleet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def main() -> int:
    """Run the command line; returns the exit code."""
    # A command's module is named after it: load no other, so that it starts fast.
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    for name in (asked,) if asked in COMMANDS else COMMANDS:
        importlib.import_module(f"tinyfleet.cli.{name}").register(app)
    try:
        result = app(standalone_mode=False)
        return result if isinstance(result, int) else 0
    except TinyfleetError as error:
        print_error(str(error), error.hint)
        return 2 if isinstance(error, UsageError) else 1
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        print_error("interrupted", None)
        return 130
    except BrokenPipeError:
        # The reader went away (for example `| head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
