"""``tinyfleet doctor``."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog="Example: tinyfleet doctor --fix")(doctor_command)


def doctor_command(
    fix: Annotated[bool, typer.Option("--fix", help="Install what is missing: programs through apt, packages through pip.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say what is installed, what is missing and how to get it; exit 1 when something needed is missing."""
    from tinyfleet.doctor import State, examine, repair  # noqa: PLC0415 - keeps --help fast

    findings = examine()
    if fix and any(finding.state is State.MISSING for finding in findings):
        repair(findings)
        findings = examine()
    healthy = all(finding.state is not State.MISSING for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print_facts([(f"{finding.state:<8}{finding.name:<14}", finding.detail)])
            if finding.fix:
                print_facts([(" " * 22, f"get it: {shlex.join(finding.fix)}")])
    if not healthy:
        raise typer.Exit(1)
