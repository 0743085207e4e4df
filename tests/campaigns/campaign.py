"""What every campaign does: options, time, one line of progress, a summary, the exit code."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from dataclasses import dataclass, field


@dataclass
class Campaign:
    """One run. ``facts`` is its summary, ``findings`` what it found."""

    name: str
    seed: int
    minutes: float
    as_json: bool
    facts: dict[str, object] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    _begin: float = field(default_factory=time.monotonic)
    _shown: float = 0.0
    _has_begun: bool = False

    def has_time(self) -> bool:
        """Whether to go on: once in any case, though building took all the time, or nothing would be looked at and nothing found."""
        if not self._has_begun:
            self._has_begun = True
            return True
        return time.monotonic() - self._begin < 60 * self.minutes

    def progress(self, text: str) -> None:
        """Show how far it is, every ten seconds."""
        if time.monotonic() - self._shown > 10:
            self._shown = time.monotonic()
            print(f"{self._shown - self._begin:6.0f} s  {text}", file=sys.stderr, flush=True)

    def found(self, text: str) -> None:
        """Report a finding at once and remember it."""
        print(f"FOUND {text}", file=sys.stderr, flush=True)
        self.findings.append(text)

    def finish(self) -> int:
        """Print the summary; the exit code."""
        facts = {"campaign": self.name, "seed": self.seed, **self.facts, "seconds": round(time.monotonic() - self._begin)}
        if self.as_json:
            print(json.dumps({**facts, "findings": self.findings}, indent=2))
        else:
            print("\n".join(f"{key:<12} {value}" for key, value in facts.items()))
            print(f"{'findings':<12} {len(self.findings)}")
        return 1 if self.findings else 0


def campaign_parser(name: str, what: str, minutes: float) -> argparse.ArgumentParser:
    """The options that all have."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.campaigns.{name}", description=what)
    parser.add_argument("--seed", type=int, help="where to begin; by default a new one, which is printed")
    parser.add_argument("--minutes", type=float, default=minutes, help=f"stop after that many (default {minutes:g})")
    parser.add_argument("--json", action="store_true", help="the summary for programs")
    return parser


def start_campaign(name: str, options: argparse.Namespace) -> Campaign:
    """Begin; the seed is on stderr before anything can fail."""
    seed = 1_000_000 + secrets.randbelow(2**30) if options.seed is None else options.seed
    print(f"{name}: seed {seed}", file=sys.stderr, flush=True)
    return Campaign(name, seed, options.minutes, options.json)
