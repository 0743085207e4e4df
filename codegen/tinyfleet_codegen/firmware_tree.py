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
