"""For every test: where CI is set to 1, a skipped test is a failed run."""

from __future__ import annotations

import os

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a green run with skips into a failed one; ``-ra`` has listed them with their reasons."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("CI") != "1":
        return
    skipped = len(reporter.stats.get("skipped", []))
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"CI=1: {skipped} skipped tests fail this run", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
