"""Where the firmware sources are: inside the installed package, else in the checkout this code runs from."""

from __future__ import annotations

from pathlib import Path

from tinyfleet_codegen.errors import SetupError

_PACKAGE = Path(__file__).resolve().parent


def firmware_dir() -> Path:
    """Absolute path of the folder that holds ``boards/``, ``lib/``, ``apps/`` and ``platformio.ini``; treat it as read-only.

    Raises:
        SetupError: this installation carries no firmware sources.
    """
    candidates = (_PACKAGE / "_firmware", _PACKAGE.parents[1] / "firmware")
    for candidate in candidates:
        if (candidate / "lib" / "core" / "include").is_dir():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise SetupError(f"no firmware sources in this installation; looked in {looked}", hint="install tinyfleet again")


HOST_CLASS = "host"
"""The host has no kernels of its own: it runs the portable ones, whose results all others must have."""

CPU_CLASSES = ("v6m", "dsp", "mve")
"""CPU classes with kernel files of their own, named ``*_<class>.c`` or ``.S``; portable files serve every class."""

INCLUDED_CLASS = {"mve": "dsp"}
"""CPU class -> one whose kernels it can run as well: a core with Helium has the DSP extension."""


def kernel_sources(cpu_class: str) -> list[Path]:
    """C and assembly files of ``lib/nn`` for a CPU class: the portable ones and its own, sorted."""
    return _of_class(sorted((firmware_dir() / "lib/nn/src").glob("*.[cS]")), cpu_class)


def kernel_headers(cpu_class: str) -> list[Path]:
    """Headers of ``lib/nn`` that declare the kernels of a CPU class: the portable ones and its own, sorted."""
    return _of_class(sorted((firmware_dir() / "lib/nn/include/tyf/nn").glob("kernels*.h")), cpu_class)


def _of_class(paths: list[Path], cpu_class: str) -> list[Path]:
    others = tuple(f"_{name}" for name in CPU_CLASSES if name not in (cpu_class, INCLUDED_CLASS.get(cpu_class)))
    return [path for path in paths if not path.stem.endswith(others)]
