"""The command tree and its exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

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

_NEXT_STEPS = {
    errno.ENOSPC: "make room on that disk, or write elsewhere",
    errno.EDQUOT: "make room, or write elsewhere",
    errno.EACCES: "choose a path that this user may write and read",
    errno.EPERM: "choose a path that this user may write and read",
    errno.EROFS: "write elsewhere",
    errno.ENOTDIR: "part of that path is a file: choose another",
    errno.EISDIR: "give the path of a file",
    errno.EEXIST: "that is in the way: move it, or choose another path",
    errno.ENOENT: "is the path right?",
    errno.EADDRINUSE: "something listens there already: choose another port",
    errno.EMFILE: "let this shell open more files: ulimit -n 4096",
}

log = logging.getLogger(__name__)

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
    # Closed by whoever called (`>&-`): what is written goes nowhere.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
    sys.stderr = sys.stderr or sys.stdout
    # A command's module is named after it: load no other, so that it starts fast.
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    for name in (asked,) if asked in COMMANDS else COMMANDS:
        importlib.import_module(f"tinyfleet.cli.{name}").register(app)
    try:
        result = app(standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except TinyfleetError as error:
        print_error(str(error), error.hint)
        return 2 if isinstance(error, UsageError) else 1
    except typer.TyperException as error:
        _print_wrong_usage(error)
        return 2
    except (typer.Abort, KeyboardInterrupt):
        print_error("interrupted", None)
        return 130
    except OSError as error:
        # The reader may have gone away, for example `| head`: then nobody is left to tell.
        if not isinstance(error, BrokenPipeError):
            # What no command foresaw: a full disk, a folder that is a file, a file of somebody else.
            log.debug("failed", exc_info=True)
            what = error.filename or f"{asked or 'tinyfleet'}: cannot read or write"
            print_error(f"{what}: {error.strerror or error}", _NEXT_STEPS.get(error.errno or 0))
        _forget_stdout()
        return 1


def _forget_stdout() -> None:
    """What could not be written would fail once more, with a traceback, when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_wrong_usage(error: Exception) -> None:
    """One line about it, and where the help is; where no command was given at all, the help."""
    said = error.format_message() if hasattr(error, "format_message") else str(error)
    if said.startswith("Usage:"):
        sys.stderr.write(said + "\n")
        return
    message = " ".join(said.split()).replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tinyfleet"
    print_error(f"{message[:1].lower()}{message[1:].rstrip('.')}", f"{path} --help")
