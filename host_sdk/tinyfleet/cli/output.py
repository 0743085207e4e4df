"""How commands speak: results on stdout, progress and errors on stderr, ``--json`` for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for programs.")]
"""The ``--json`` option that every command takes."""

ArenaBudget = Annotated[
    int | None,
    typer.Option(min=1, metavar="BYTES", help="Compute layers together, some rows at a time, until the arena fits."),
]
"""The ``--arena-budget`` option of what compiles."""

progress_console = Console(stderr=True)
"""Where progress goes; plain text when stderr is not a terminal."""


def print_json(value: Any) -> None:
    """Print one JSON value on stdout; bytes become hex."""
    sys.stdout.write(json.dumps(value, indent=2, default=lambda v: v.hex() if isinstance(v, bytes) else str(v)) + "\n")


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print aligned ``name  value`` lines on stdout."""
    rows = list(facts)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        sys.stdout.write(f"{name:<{width}}  {value}\n")


def print_error(message: str, hint: str | None) -> None:
    """Print one error line and, when there is one, the next step."""
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"  hint: {hint}\n")
