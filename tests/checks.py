"""Every check of the project, in the order in which they fail fastest: what ``./run test`` runs.

::

    ./run test                 all but what is marked ``full``
    ./run test --full          all
    ./run test tests/codegen   the static checks, and the tests in that folder
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def _tracked(*patterns: str) -> list[str]:
    """Tracked and new files that match, relative to the root; ignored ones stay out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in names.split("\0") if name and (ROOT / name).exists())


def static_checks() -> dict[str, list[str]]:
    """Command line per static check, by its name; they take seconds."""
    return {
        "python format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
        "python lint": [str(BIN / "ruff"), "check", "--quiet", "."],
        "types": [str(BIN / "mypy")],
        "imports": [str(BIN / "lint-imports"), "--no-logo"],
        "C format": [
            str(BIN / "clang-format"),
            "--dry-run",
            "--Werror",
            *_tracked("firmware/*.c", "firmware/*.h", "tests/*.c", "tests/*.h"),
        ],
        "shell": [str(BIN / "shellcheck"), "run", ".ci/run"],
        "spelling": [str(BIN / "codespell"), *_tracked("*.py", "*.md", "*.c", "*.h", "*.toml", "*.json", "run")],
    }


def test_command(full: bool, selection: list[str]) -> list[str]:
    """Command line of the test run: two processes take file after file, in the order of conftest.py."""
    marker = ["-m", "full or not full"] if full else []
    workers = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    return [sys.executable, "-m", "pytest", *workers, "--durations", "25", *marker, *selection]


def _run(name: str, command: list[str]) -> bool:
    begin = time.monotonic()
    quiet = name != "tests"
    print(f"{name:<14}", end="" if quiet else "\n", flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=quiet, text=True, check=False)
    if quiet:
        print(f"{'ok' if done.returncode == 0 else 'FAILED'} ({time.monotonic() - begin:.1f} s)", flush=True)
        if done.returncode != 0:
            print(done.stdout + done.stderr, flush=True)
    return done.returncode == 0


def main() -> int:
    """Run all of it, the rest also after a failure; 0 when everything passed."""
    parser = argparse.ArgumentParser(prog="./run test", description="Static checks, tests/ and hil_tests/ on emulated boards.")
    parser.add_argument("--full", action="store_true", help="also what is marked full: every extra alone, long runs")
    options, selection = parser.parse_known_args()
    # A tool that another checkout's settings reach would check something else.
    for variable in ("MYPYPATH", "RUFF_CONFIG", "PYTEST_ADDOPTS"):
        os.environ.pop(variable, None)
    begin = time.monotonic()
    failed = [name for name, command in static_checks().items() if not _run(name, command)]
    if not _run("tests", test_command(options.full, selection)):
        failed.append("tests")
    verdict = "FAILED: " + ", ".join(failed) if failed else "all checks passed"
    print(f"{verdict} ({time.monotonic() - begin:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
