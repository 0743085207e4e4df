"""Break one thing of the compiler while a test runs."""

from __future__ import annotations
import __future__

import inspect
import textwrap
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
