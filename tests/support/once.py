"""What is built once a run, by whichever of its processes needs it first."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")


def once_a_run(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """What ``make`` returned, in this process or in another one of the same run.

    Args:
        factory: The run's.
        name: Of what is made; names its folder.
        make: Builds in the folder that it is given. What it returns can be pickled, and nobody changes the files.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"once-{name}"
    folder.mkdir(exist_ok=True)
    result = folder / "result.pickle"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            made = pickle.dumps(make(folder))
            result.write_bytes(made)
    found: T = pickle.loads(result.read_bytes())
    return found
