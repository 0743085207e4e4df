"""``tinyfleet flash``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json
from tinyfleet_codegen.errors import BuildError, SetupError, UsageError

_TIMEOUT_S = 300


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("flash", epilog="Example: tinyfleet flash --board my_board --elf build/sensor/firmware.elf --probe 066EFF")(flash_command)


def flash_command(
    board: Annotated[str, typer.Option(help="Board id.")],
    elf: Annotated[Path, typer.Option(help="The firmware.")],
    probe: Annotated[str | None, typer.Option(help="Unique id of the debug probe, needed when there are several.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write firmware into a real board with pyOCD. Not yet tried on hardware.

    Emulated boards need no flashing: tinyfleet emulate starts one with its firmware.
    """
    from tinyfleet.board import load_board  # noqa: PLC0415 - keeps --help fast

    facts = load_board(board)
    if facts.upload_protocol != "pyocd" or facts.pyocd_target is None:
        raise UsageError(f"{board} exists as an emulated board only", hint=f"tinyfleet emulate {board} --elf {elf}")
    if not elf.is_file():
        raise UsageError(f"no firmware {elf}", hint=f"tinyfleet build --board {board} --model M.tflite -o DIR makes DIR/firmware.elf")
    if importlib.util.find_spec("pyocd") is None:
        raise SetupError("pyOCD is not installed", hint="pip install pyocd")
    command = [sys.executable, "-m", "pyocd", "load", "--target", facts.pyocd_target, *(["--uid", probe] if probe else []), str(elf)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"pyOCD did not finish within {_TIMEOUT_S} s") from error
    if run.returncode != 0:
        raise BuildError(f"pyOCD failed: {(run.stderr.strip().splitlines() or ['it printed nothing'])[-1]}")
    if as_json:
        print_json({"board": board, "elf": elf, "probe": probe})
    else:
        print_facts([("flashed", f"{elf} to {board}")])
