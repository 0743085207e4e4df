"""One file of cases for each op, each case a model of one op. A completeness test sees that none is missing."""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class OpCase:
    """A model of one op, by name unique among all cases."""

    name: str
    tflite: bytes


def rng_for(name: str) -> np.random.Generator:
    """The random generator of a case: fixed by its name."""
    return np.random.default_rng(zlib.crc32(name.encode()))


@cache
def all_cases() -> dict[str, tuple[OpCase, ...]]:
    """Cases by op, from every file in this folder; made once, because it takes a second."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return {module.OP: tuple(module.cases()) for module in modules}
