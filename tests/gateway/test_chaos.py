"""The no-loss campaign, short; and with a seeded bug, until it finds that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.chaos_mutants import MUTANTS, route_of

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("TINYFLEET_TEST_SEED", "1127"))


def campaign(*options: str, timeout_s: float) -> dict[str, Any]:
    """Run it as ``./run chaos gateway`` does."""
    command = [sys.executable, "-m", "tests.campaigns.chaos", "gateway", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)
    print(done.stderr)
    assert done.stdout, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    print(facts)
    assert done.returncode == (1 if facts["findings"] else 0)
    return facts


@pytest.mark.timeout(900)
def test_a_short_campaign_loses_and_doubles_nothing() -> None:
    # Half a minute; its end is the number of faults, however long they take.
    facts = campaign("--seed", str(SEED), "--minutes", "60", "--faults", "20", timeout_s=880)
    assert facts["findings"] == []
    assert facts["faults"] >= 20 and facts["produced"] > 0
    assert (facts["lost"], facts["duplicated"]) == (0, 0)
    assert facts["produced"] == facts["stored"] + facts["covered"] + facts["filtered"] + facts["dropped"]


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_campaign_finds_each_seeded_bug_by_random_kills(mutant: str) -> None:
    facts = campaign("--seed", str(SEED), "--minutes", "10", "--routes", route_of(mutant), "--mutant", mutant, timeout_s=880)
    assert any("LOST" in finding for finding in facts["findings"]), facts
    assert facts["lost"] > 0
