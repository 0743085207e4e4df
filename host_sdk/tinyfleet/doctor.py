"""What this machine has of the things tinyfleet uses, what it lacks, and the command that brings it.

::

    for finding in examine():
        print(finding.name, finding.state, finding.detail)
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from packaging.requirements import Requirement

from tinyfleet import crypto_source, toolchain
from tinyfleet.board import UNTRIED, load_boards
from tinyfleet_codegen.errors import ConfigError, SetupError
from tinyfleet_codegen.firmware_tree import firmware_dir

log = logging.getLogger(__name__)

DISTRIBUTION = "tinyfleet"
_INSTALL_TIMEOUT_S = 1800.0


class State(StrEnum):
    """How a finding stands."""

    OK = "ok"
    ABSENT = "absent"
    """Optional, and not installed."""
    MISSING = "missing"
    """Needed, or there in a version that does not fit."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is: ``qemu``, ``extra train``.
        state: Whether it is there.
        detail: Versions and places, or what is wrong.
        fix: Command that brings it; empty when it is there or no command helps.
    """

    name: str
    state: State
    detail: str
    fix: tuple[str, ...] = ()


def examine() -> list[Finding]:
    """Look at the interpreter, the programs, the firmware sources and the Python packages; seconds, no network."""
    return [
        Finding("python", State.OK, f"{platform.python_version()} ({sys.executable}), {platform.system()} {platform.machine()}"),
        _program("host compiler", _host_compiler, ("gcc", "libc6-dev")),
        _program("arm compiler", lambda: [str(toolchain.find_arm_gcc()), "--version"], ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi")),
        _program("qemu", lambda: [str(toolchain.find_qemu().path), "--version"], ("qemu-system-arm",)),
        _firmware(),
        _crypto_source(),
        *_boards(),
        *_packages(),
    ]


def repair(findings: Iterable[Finding]) -> None:
    """Run the command of each finding that is missing; what is absent by choice stays absent.

    Raises:
        SetupError: a command cannot run or failed.
    """
    for finding in findings:
        if finding.state is not State.MISSING:
            continue
        if not finding.fix:
            raise SetupError(f"{finding.name}: {finding.detail}", hint="no command brings this; install it by hand")
        command = list(finding.fix)
        if command[0] == "apt-get":
            command = _with_root(command)
        log.info("repairing name=%s command=%s", finding.name, command)
        try:
            # The command's own words go to stderr: stdout is for results.
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=_INSTALL_TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise SetupError(f"{finding.name}: {' '.join(command)} failed: {error}", hint="its own words are above") from error


def _with_root(command: list[str]) -> list[str]:
    if shutil.which(command[0]) is None:
        raise SetupError(
            f"there is no {command[0]} on this machine", hint=f"bring these with your system's own tool: {' '.join(command[4:])}"
        )
    command = ["env", "DEBIAN_FRONTEND=noninteractive", *command]
    if os.geteuid() == 0:
        return command
    sudo = shutil.which("sudo")
    if sudo is None or subprocess.run([sudo, "-n", "true"], capture_output=True, timeout=30, check=False).returncode != 0:
        raise SetupError(
            f"only root may run: {' '.join(command)}",
            hint="run that as root, or use ./run of a checkout, which unpacks the same packages without root",
        )
    return [sudo, "-n", *command]


def _host_compiler() -> list[str]:
    return [*toolchain.find_host_cc(), "--version"]


def _program(name: str, find: Callable[[], list[str]], packages: tuple[str, ...]) -> Finding:
    """A program with the first line of what it says about its version."""
    fix = ("apt-get", "install", "-y", "--no-install-recommends", *packages)
    try:
        command = find()
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except SetupError as error:
        return Finding(name, State.MISSING, str(error), fix)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name, State.MISSING, f"it does not run: {error}", fix)
    return Finding(name, State.OK, f"{answer.stdout.splitlines()[0]} ({' '.join(command[:-1])})")


def _firmware() -> Finding:
    try:
        return Finding("firmware", State.OK, str(firmware_dir()))
    except SetupError as error:
        return Finding("firmware", State.MISSING, str(error), _pip("--force-reinstall", "--no-deps", DISTRIBUTION))


def _crypto_source() -> Finding:
    if crypto_source.is_cached():
        return Finding("crypto source", State.OK, f"pymonocypher {crypto_source.VERSION}")
    return Finding(
        "crypto source",
        State.ABSENT,
        f"pymonocypher {crypto_source.VERSION} is not in the cache; the next build fetches it",
        (sys.executable, "-P", "-m", crypto_source.__name__),
    )


def _boards() -> list[Finding]:
    """Boards by how far they are proven; none where there is no firmware, which is a finding of its own."""
    try:
        boards = load_boards()
    except SetupError:
        return []
    except ConfigError as error:
        return [Finding("boards", State.MISSING, str(error))]
    groups = {
        "emulated": [board.board_id for board in boards if board.emulation is not None],
        "tried": [board.board_id for board in boards if board.emulation is None and board.is_tried],
        UNTRIED: [board.board_id for board in boards if not board.is_tried],
    }
    return [Finding("boards", State.OK, "; ".join(f"{group}: {', '.join(names)}" for group, names in groups.items() if names))]


def _packages() -> list[Finding]:
    """The base packages, then each extra, as the installed metadata of tinyfleet asks for them."""
    metadata = importlib.metadata.metadata(DISTRIBUTION)
    requirements = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or []]
    findings = [
        _package_group("packages", [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})], optional=False)
    ]
    for extra in metadata.get_all("Provides-Extra") or []:
        if extra == "all":
            continue
        wanted = [
            r for r in requirements if r.marker is not None and r.marker.evaluate({"extra": extra}) and not r.marker.evaluate({"extra": ""})
        ]
        if wanted:
            findings.append(_package_group(f"extra {extra}", wanted, optional=True))
        else:
            findings.append(Finding(f"extra {extra}", State.ABSENT, "its packages do not exist for this kind of machine"))
    return findings


def _package_group(name: str, wanted: list[Requirement], *, optional: bool) -> Finding:
    installed: dict[str, str] = {}
    for requirement in wanted:
        # Another package may have brought it, so that a part of an extra says nothing about the extra.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[requirement.name] = importlib.metadata.version(requirement.name)
    absent = [r for r in wanted if r.name not in installed]
    outside = [r for r in wanted if r.name in installed and not r.specifier.contains(installed[r.name], prereleases=True)]
    if not absent and not outside:
        return Finding(name, State.OK, ", ".join(f"{package} {version}" for package, version in installed.items()))
    said = [f"{r.name} is not installed" for r in absent] + [f"{r.name} is {installed[r.name]}, needs {r.specifier}" for r in outside]
    state = State.ABSENT if optional and not outside else State.MISSING
    return Finding(name, state, "; ".join(said), _pip(*(f"{r.name}{r.specifier}" for r in absent + outside)))


def _pip(*arguments: str) -> tuple[str, ...]:
    """A pip command for this environment, held to the checkout's tested versions where there is a checkout."""
    constraints = Path(__file__).resolve().parents[2] / "constraints.txt"
    held = ("-c", str(constraints)) if constraints.is_file() else ()
    return (sys.executable, "-m", "pip", "install", *held, *arguments)
