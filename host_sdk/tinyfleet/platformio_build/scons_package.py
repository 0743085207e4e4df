"""PlatformIO's one core package, ``tool-scons``, made from the SCons that pip installed.

PlatformIO would fetch it from its registry. A package folder that names ``platformio`` as its owner satisfies it, and
PlatformIO runs ``scons.py`` with its own interpreter, which finds pip's SCons.
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

from tinyfleet_codegen.errors import SetupError

_SCRIPT = "import sys\n\nfrom SCons.Script import main\n\nsys.exit(main())\n"


def package_version(scons_version: str) -> str:
    """Version of the package for a version of SCons, by PlatformIO's rule: 4.11.1 is 4.41101.0."""
    major, minor, patch, *_ = [*(int(part) for part in scons_version.split(".post", maxsplit=1)[0].split(".")), 0, 0]
    return f"{major}.{major}{minor:02d}{patch:02d}.0"


def write_scons_package(core_dir: Path) -> None:
    """Put the package into a private PlatformIO core folder; keeps one that is there and current.

    Raises:
        SetupError: PlatformIO or SCons is not installed, or the two do not match.
    """
    try:
        scons_version = importlib.metadata.version("scons")
        from platformio.dependencies import get_core_dependencies  # type: ignore[import-untyped]  # noqa: PLC0415
        from semantic_version import SimpleSpec, Version  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise SetupError("PlatformIO and SCons are not installed", hint="pip install 'tinyfleet[build]'") from error
    version = package_version(scons_version)
    wanted = get_core_dependencies()["tool-scons"]
    if not SimpleSpec(wanted).match(Version(version)):
        raise SetupError(
            f"this PlatformIO needs tool-scons {wanted}, SCons {scons_version} is {version}", hint="pip install 'tinyfleet[build]' again"
        )
    folder = core_dir / "packages" / "tool-scons"
    spec = {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None}
    manifest = {"name": "tool-scons", "version": version, "description": "SCons from PyPI"}
    write_if_changed(folder / "package.json", json.dumps(manifest))
    write_if_changed(folder / ".piopm", json.dumps({"type": "tool", "name": "tool-scons", "version": version, "spec": spec}))
    write_if_changed(folder / "scons.py", _SCRIPT)


def write_if_changed(path: Path, text: str) -> None:
    """Write a text file only when its content differs: PlatformIO rebuilds everything when a project file is touched."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
