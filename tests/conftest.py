"""What a run says about itself."""

from __future__ import annotations

import pytest

from tests.support import mlperf


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line about the MLPerf Tiny models, so that equality tests never vanish silently."""
    found = mlperf.found_models()
    terminalreporter.write_line(f"MLPerf: {len(found)} of {len(mlperf.MODELS)} models found")
    if not found:
        names = ", ".join(f"{m.file} ({m.sha256_start}...)" for m in mlperf.MODELS)
        terminalreporter.write_line(f"  set {mlperf.VARIABLE} to a folder that holds {names}")
