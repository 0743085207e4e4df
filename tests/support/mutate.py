"""Break one thing of the compiler while a test runs."""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType

import pytest


def mutate_text(monkeypatch: pytest.MonkeyPatch, function: FunctionType, before: str, after: str) -> bool:
    """Change a function's source, for all who hold it; False when ``before`` does not stand in it exactly once."""
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(before) != 1:
        return False
    changed = compile(source.replace(before, after), function.__code__.co_filename, "exec", __future__.annotations.compiler_flag)
    names: dict[str, FunctionType] = {}
    exec(changed, function.__globals__, names)
    monkeypatch.setattr(function, "__code__", names[function.__name__].__code__)
    return True


def seed_bug(monkeypatch: pytest.MonkeyPatch, bug: tuple[Callable[..., object], str, str]) -> None:
    """Change a function's source (function, before, after) for all who hold it; what does not apply proves nothing, and fails."""
    function, before, after = bug
    assert isinstance(function, FunctionType)
    assert mutate_text(monkeypatch, function, before, after), f"{before!r} is not in {function.__name__}"
