"""From a board, a generated model and an app to an ELF file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyfleet.board import load_board
from tinyfleet.elf import elf_size
from tinyfleet.platformio_build.scons_package import write_if_changed, write_scons_package
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.errors import BuildError, DoesNotFit, UsageError
from tinyfleet_codegen.firmware_tree import firmware_dir

_TIMEOUT_S = 600.0
_SHOWN_ERRORS = 3


@dataclass(frozen=True, slots=True)
class FirmwareBuild:
    """A firmware that was built.

    Attributes:
        elf: The program with symbols; the same bytes as ``image`` when loaded.
        image: The raw binary.
        linker_map: What lies where.
        flash_bytes: Code, constants and initial values.
        ram_bytes: Stack and variables, the model's arena among them.
        seconds: How long the build took.
    """

    elf: Path
    image: Path
    linker_map: Path
    flash_bytes: int
    ram_bytes: int
    seconds: float


def build_firmware(board: str, model_dir: Path, output_dir: Path, *, app: str = "sensor") -> FirmwareBuild:
    """Build an app with one generated model for one board.

    Args:
        board: Id of a manifest in ``firmware/boards``.
        model_dir: Folder with the generated ``model.c`` and ``model.h``.
        output_dir: Gets ``firmware.elf``, ``firmware.bin``, ``firmware.map`` and PlatformIO's files below ``pio/``.
        app: Name of a folder in ``firmware/apps``, or the path of a folder with an app of your own.

    Raises:
        UsageError: there is no such board, app or model.
        SetupError: the Arm compiler or PlatformIO is missing.
        DoesNotFit: the firmware with this model is too large for the board.
        BuildError: the compiler or the linker refused; the message holds its first errors.
    """
    started = time.monotonic()
    load_board(board)
    app_dir = _app_dir(app)
    model_dir = model_dir.resolve()
    if not (model_dir / "model.h").is_file():
        raise UsageError(f"no generated model in {model_dir}", hint=f"tinyfleet compile M.tflite --board {board} -o {model_dir}")
    project = output_dir.resolve() / "pio"
    gcc = find_arm_gcc()
    write_scons_package(project / "core")
    write_if_changed(project / "platformio.ini", _project_file(board, app_dir, model_dir))
    log = _run_platformio(project, board, gcc)
    (project / "build.log").write_text(log.text, encoding="utf-8")
    if log.exit_code != 0:
        _refuse_overflow(log.text, board, model_dir)
        raise BuildError(_first_errors(log.text), hint=f"the whole output is in {project / 'build.log'}")
    built = project / "build" / board
    for suffix in (".elf", ".bin", ".map"):
        shutil.copyfile(built / f"firmware{suffix}", output_dir / f"firmware{suffix}")
    flash_bytes, ram_bytes = elf_size(output_dir / "firmware.elf")
    return FirmwareBuild(
        elf=output_dir / "firmware.elf",
        image=output_dir / "firmware.bin",
        linker_map=output_dir / "firmware.map",
        flash_bytes=flash_bytes,
        ram_bytes=ram_bytes,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Log:
    exit_code: int
    text: str


def _app_dir(app: str) -> Path:
    apps = firmware_dir() / "apps"
    folder = Path(app).resolve() if os.sep in app else apps / app
    if not any(folder.glob("*.c")):
        known = ", ".join(sorted(path.name for path in apps.iterdir() if path.is_dir()))
        raise UsageError(f"no app {app!r}: {folder} holds no C files", hint=f"apps: {known}; or the path of your own, with a slash")
    return folder


def _project_file(board: str, app_dir: Path, model_dir: Path) -> str:
    sources = firmware_dir()
    return f"""; Written by tinyfleet, rewritten when the build's inputs move.
[platformio]
src_dir = {app_dir}
boards_dir = {sources / "boards"}
lib_dir = lib
build_dir = build
platforms_dir = platforms

[env:{board}]
platform = symlink://{sources / "platform" / "tinyfleet"}
board = {board}
lib_ldf_mode = off
custom_firmware_dir = {sources}
custom_model_dir = {model_dir}
custom_app_name = {app_dir.name}
"""


def _run_platformio(project: Path, board: str, gcc: Path) -> _Log:
    # The user's own PLATFORMIO_* settings could change flags or folders; this build has only its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PLATFORMIO_")}
    env |= {
        "PATH": os.pathsep.join([str(gcc.parent), env.get("PATH", "")]),
        "PLATFORMIO_CORE_DIR": str(project / "core"),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "platformio", "run", "--project-dir", str(project), "--environment", board]
    try:
        run = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"PlatformIO did not finish within {_TIMEOUT_S:.0f} s in {project}") from error
    return _Log(run.returncode, run.stdout.decode(errors="replace"))


def _refuse_overflow(log: str, board: str, model_dir: Path) -> None:
    """Say what to change when the linker found no room.

    Raises:
        DoesNotFit: it did not.
    """
    overflows = {name: int(count) for name, count in re.findall(r"region `(\w+)' overflowed by (\d+) bytes?", log)}
    if not overflows:
        return
    region, count = max(overflows.items(), key=lambda item: item[1])
    report = _report(model_dir)
    if region == "RAM" and "peak" in report:
        hint = f"of {report['arena_bytes']} bytes for the model, {report['peak']['text']}: shrink those, or use a larger board"
    elif region == "FLASH" and "weights_bytes" in report:
        hint = f"{report['weights_bytes']} bytes are the model's weights: use fewer channels, or a larger board"
    else:
        hint = "use a smaller model or a larger board"
    raise DoesNotFit(f"the firmware needs {count} bytes more {region} than board {board} has", hint=hint)


def _report(model_dir: Path) -> dict[str, Any]:
    """``report.json`` beside a generated model; empty when it is not there or not ours."""
    try:
        report = json.loads((model_dir / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def _first_errors(log: str) -> str:
    """The first lines that a compiler, a linker or PlatformIO marks as errors; else the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    marks = ("error:", "undefined reference", "/ld: ", "Error:")
    errors = [line for line in lines if any(mark in line for mark in marks) and not line.startswith("collect2:")]
    return "; ".join((errors or lines[-1:] or ["PlatformIO failed without a word"])[:_SHOWN_ERRORS])
