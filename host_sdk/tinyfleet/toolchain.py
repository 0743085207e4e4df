"""Where the programs are that tinyfleet runs: the Arm compiler, QEMU and the host's C compiler.

Each is looked up first in the set-up's own tool folder (an unpacked apt tree, named by ``TINYFLEET_TOOLS``), then on
``PATH``. Nothing is installed here; what is missing becomes a :class:`SetupError` that says where it was looked for::

    gcc = find_arm_gcc()
    qemu = find_qemu()
    subprocess.run([qemu.path, "--version"], env=qemu.env, check=True)
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tinyfleet_codegen.errors import SetupError

TOOLS_VARIABLE = "TINYFLEET_TOOLS"
"""Environment variable that names the tool folder: a tree with ``usr/bin`` as apt packages unpack it."""

_ARM_GCC = "arm-none-eabi-gcc"
_QEMU = "qemu-system-arm"
_MOSQUITTO = "mosquitto"
_APT_PACKAGES = {_ARM_GCC: "gcc-arm-none-eabi libnewlib-arm-none-eabi", _QEMU: "qemu-system-arm", _MOSQUITTO: "mosquitto"}
_SYSTEM_FOLDER = "/usr/sbin"
"""Where Debian puts servers; an ordinary user's PATH does not name it."""


@dataclass(frozen=True, slots=True)
class Qemu:
    """A QEMU for Arm machines and the environment that it runs in.

    Attributes:
        path: The program ``qemu-system-arm``.
        env: Complete environment of its process; holds the library path of an unpacked tree.
    """

    path: Path
    env: dict[str, str]


def tools_dir() -> Path | None:
    """The set-up's own tool folder: what the variable names, else the one beside the environment that ``./run`` made.

    None: there is none, or the variable is empty.
    """
    value = os.environ.get(TOOLS_VARIABLE)
    if value is None:
        beside = Path(sys.prefix).parent / ".tinyfleet" / "tools"
        return beside if beside.is_dir() else None
    return Path(value).absolute() if value else None


def find_arm_gcc() -> Path:
    """The Arm compiler ``arm-none-eabi-gcc``, with newlib-nano beside it.

    Raises:
        SetupError: there is none, it does not run, or newlib is missing.
    """
    gcc = _find(_ARM_GCC)
    try:
        answer = subprocess.run([gcc, "-print-file-name=nano.specs"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"the Arm compiler {gcc} does not run: {error}", hint=_install_hint(_ARM_GCC)) from error
    # gcc answers with the bare name when it does not have the file.
    if not Path(answer.stdout.strip()).is_absolute():
        raise SetupError(f"the Arm compiler {gcc} has no newlib-nano (nano.specs)", hint=_install_hint(_ARM_GCC))
    return gcc


def find_qemu() -> Qemu:
    """The emulator ``qemu-system-arm``.

    Raises:
        SetupError: there is none.
    """
    path = _find(_QEMU)
    env = dict(os.environ)
    tools = tools_dir()
    if tools is not None and path.is_relative_to(tools):
        libraries = [str(folder) for parent in (tools / "usr/lib", tools / "lib") for folder in _library_folders(parent)]
        env["LD_LIBRARY_PATH"] = os.pathsep.join([*libraries, *filter(None, [env.get("LD_LIBRARY_PATH")])])
    return Qemu(path, env)


def find_mosquitto() -> Path:
    """The MQTT broker ``mosquitto``.

    Raises:
        SetupError: there is none.
    """
    return _find(_MOSQUITTO)


def find_host_cc() -> list[str]:
    """Command (program and leading arguments) of the host's C compiler: ``$CC``, cc, gcc, clang, else pip's ziglang.

    Raises:
        SetupError: there is none, or ``CC`` names one that is not there.
    """
    wanted = shlex.split(os.environ.get("CC", ""))
    if wanted:
        if shutil.which(wanted[0]) is None:
            raise SetupError(f"CC names {wanted[0]!r}, which is not there", hint="unset CC, or set it to your C compiler")
        return wanted
    tools = tools_dir()
    for name in ("cc", "gcc", "clang"):
        path = (None if tools is None else shutil.which(name, path=tools / "usr/bin")) or shutil.which(name)
        if path is not None:
            return [path]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise SetupError(
        "no C compiler for this machine: looked for cc, gcc and clang on PATH and for pip's ziglang",
        hint="apt-get install gcc libc6-dev, or pip install ziglang",
    )


def _find(program: str) -> Path:
    places = []
    tools = tools_dir()
    if tools is not None:
        candidate = tools / "usr/bin" / program
        if os.access(candidate, os.X_OK):
            return candidate
        places.append(str(candidate.parent))
    found = shutil.which(program) or shutil.which(program, path=_SYSTEM_FOLDER)
    if found is not None:
        return Path(found)
    places.append("PATH")
    raise SetupError(f"{program} is not installed: looked in {' and '.join(places)}", hint=_install_hint(program))


def _library_folders(parent: Path) -> list[Path]:
    """``parent`` and its folder per machine type (``x86_64-linux-gnu``), as Debian lays libraries out."""
    return [*sorted(parent.glob("*-linux-gnu*")), parent] if parent.is_dir() else []


def _install_hint(program: str) -> str:
    return f"apt-get install {_APT_PACKAGES[program]}, or run ./run doctor --fix"
