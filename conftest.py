"""What a test run says about itself, and a folder for what must have a short path."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import mlperf
from tinyfleet.toolchain import TOOLS_VARIABLE, tools_dir


def pytest_configure() -> None:
    """What ./run brought below .tinyfleet is found as well when pytest is called by itself."""
    tools = tools_dir()
    if tools is not None and TOOLS_VARIABLE not in os.environ:
        os.environ[TOOLS_VARIABLE] = str(tools)
        os.environ["PATH"] = f"{tools / 'usr/bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests over models that are not there go. Order: see below."""
    _leave_out_absent_models(config, items)
    # Two workers take file after file. Files that take long come first, so that both end together.
    long = {item.path for item in items if item.get_closest_marker("slow") or "hil_tests" in item.path.parts}
    items.sort(key=lambda item: item.path not in long)


def _leave_out_absent_models(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests over the MLPerf Tiny models where none is there; the summary says so. They are not skips to be overlooked."""
    absent = [
        item for item in items if any(m.kwargs.get("reason", "").startswith("got empty parameter set") for m in item.iter_markers("skip"))
    ]
    if absent and not mlperf.found_models():
        config.hook.pytest_deselected(items=absent)
        items[:] = [item for item in items if item not in absent]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line about the MLPerf Tiny models, so that equality tests never vanish silently."""
    found = mlperf.found_models()
    terminalreporter.write_line(f"MLPerf: {len(found)} of {len(mlperf.MODELS)} models found")
    if not found:
        names = ", ".join(f"{m.file} ({m.sha256_start}...)" for m in mlperf.MODELS)
        terminalreporter.write_line(f"  set {mlperf.VARIABLE} to a folder that holds {names}")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder for sockets, whose paths have room for 107 bytes: ``tmp_path`` has names of tests in it."""
    with tempfile.TemporaryDirectory(prefix="tf-") as name:
        yield Path(name)
