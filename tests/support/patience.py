"""Deadlines that guard, and deadlines that have to run out, on a machine that may be slow or stand still for a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

HANG_S = 120.0
"""What has not come by then never comes: how long a test waits for what must happen. A guard against hanging, no measure of speed."""

PATIENCE = (1.0, 6.0, 30.0)


async def with_patience(attempt: Callable[[float], Awaitable[None]]) -> None:
    """Do it with short deadlines, which a stall can eat, and when it fails with longer ones: a defect fails with each.

    For what needs a deadline to run out and something else to happen within it; what only must happen gets a long one at once.

    Args:
        attempt: Does everything anew, its deadlines multiplied by what it is given.
    """
    for patience in PATIENCE[:-1]:
        try:
            return await attempt(patience)
        except (Exception, pytest.fail.Exception) as error:
            print(f"with {patience:g} times the deadline: {type(error).__name__}: {error}")
    await attempt(PATIENCE[-1])
