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
from tinyfleet.crypto_source import crypto_source_dir
from tinyfleet.elf import elf_size
from tinyfleet.platformio_build.scons_package import write_if_changed, write_scons_package
from tinyfleet.toolchain import TOOLS_VARIABLE, find_arm_gcc, tools_dir
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


@dataclass(frozen=True, slots=True)
class _App:
    """What an app needs, from ``app.json`` beside its ``main.c``; without that file the default.

    Attributes:
        libraries: Folders of ``firmware/lib`` to compile; empty: all.
        needs_model: Whether it runs a model.
        needs_crypto: Whether it verifies signatures or opens sessions.
        area: Of the flash map, where the app always lies; None: where the board starts by itself, or a slot.
        stack_bytes: Its main stack, when not the manifest's.
        handler_stack_bytes: That of interrupts, likewise.
    """

    libraries: tuple[str, ...] = ()
    needs_model: bool = True
    needs_crypto: bool = False
    area: str | None = None
    stack_bytes: int | None = None
    handler_stack_bytes: int | None = None


def build_firmware(
    board: str,
    model_dir: Path | None,
    output_dir: Path,
    *,
    app: str = "sensor",
    area: str | None = None,
    keys_header: str | None = None,
    name: str = "firmware",
) -> FirmwareBuild:
    """Build an app with one generated model for one board.

    Args:
        board: Id of a manifest in ``firmware/boards``.
        model_dir: Folder with the generated ``model.c`` and ``model.h``; None for an app without a model.
        output_dir: Gets ``firmware.elf``, ``firmware.bin``, ``firmware.map`` and PlatformIO's files below ``pio/``.
        app: Name of a folder in ``firmware/apps``, or the path of a folder with an app of your own.
        area: Update slot to link for, ``slot_0`` or ``slot_1``; None: where the board starts by itself. Objects are
            compiled once for all.
        keys_header: Text of ``tyf_keys.h``, the public keys to pin; None: the program trusts no key.
        name: Stem of the three files.

    Raises:
        UsageError: there is no such board, app or model.
        SetupError: the Arm compiler, PlatformIO or the crypto source is missing.
        DoesNotFit: the firmware with this model is too large for the board.
        BuildError: the compiler or the linker refused; the message holds its first errors.
    """
    started = time.monotonic()
    load_board(board)
    app_dir = _app_dir(app)
    needs = _app_needs(app_dir)
    model_dir = _model_dir(board, model_dir) if needs.needs_model else None
    project = output_dir.resolve() / "pio"
    gcc = find_arm_gcc()
    write_scons_package(project / "core")
    if keys_header is not None:
        write_if_changed(project / "keys" / "tyf_keys.h", keys_header)
    write_if_changed(project / "platformio.ini", _project_file(board, app_dir, needs, model_dir, project, keys_header is not None))
    log = _run_platformio(project, board, gcc, area or needs.area)
    (project / "build.log").write_text(log.text, encoding="utf-8")
    if log.exit_code != 0:
        _refuse_overflow(log.text, board, model_dir)
        raise BuildError(_first_errors(log.text), hint=f"the whole output is in {project / 'build.log'}")
    built = project / "build" / board
    elf, image, linker_map = (output_dir / f"{name}{suffix}" for suffix in (".elf", ".bin", ".map"))
    for path in (elf, image, linker_map):
        shutil.copyfile(built / f"firmware{path.suffix}", path)
    flash_bytes, ram_bytes = elf_size(elf)
    return FirmwareBuild(
        elf=elf,
        image=image,
        linker_map=linker_map,
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


def _app_needs(app_dir: Path) -> _App:
    path = app_dir / "app.json"
    if not path.is_file():
        return _App()
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return _App(**(facts | {"libraries": tuple(facts.get("libraries", ()))}))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} does not say what the app needs: {error}", hint=f"keys: {', '.join(_App.__dataclass_fields__)}; or remove the file"
        ) from error


def _model_dir(board: str, model_dir: Path | None) -> Path:
    folder = Path() if model_dir is None else model_dir.resolve()
    if not (folder / "model.h").is_file():
        raise UsageError(f"no generated model in {folder}", hint=f"tinyfleet compile M.tflite --board {board} -o {folder}")
    return folder


def _project_file(board: str, app_dir: Path, needs: _App, model_dir: Path | None, project: Path, has_keys: bool) -> str:
    sources = firmware_dir()
    options = {
        "custom_model_dir": model_dir,
        "custom_crypto_dir": crypto_source_dir() if needs.needs_crypto else None,
        "custom_keys_dir": project / "keys" if has_keys else None,
        "custom_libraries": " ".join(needs.libraries),
        "custom_stack_bytes": needs.stack_bytes,
        "custom_handler_stack_bytes": needs.handler_stack_bytes,
    }
    more = "".join(f"{name} = {value}\n" for name, value in options.items() if value)
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
custom_app_name = {app_dir.name}
{more}"""


def _run_platformio(project: Path, board: str, gcc: Path, area: str | None) -> _Log:
    # The user's own PLATFORMIO_* settings could change flags or folders; this build has only its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PLATFORMIO_")}
    env[TOOLS_VARIABLE] = str(tools_dir() or "")
    env |= {
        "PATH": os.pathsep.join([str(gcc.parent), env.get("PATH", "")]),
        "PLATFORMIO_CORE_DIR": str(project / "core"),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # Not in the project file: PlatformIO compiles all again when that changes.
    env.pop("TINYFLEET_IMAGE_AREA", None)
    if area is not None:
        env["TINYFLEET_IMAGE_AREA"] = area
    command = [sys.executable, "-m", "platformio", "run", "--project-dir", str(project), "--environment", board]
    try:
        run = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"PlatformIO did not finish within {_TIMEOUT_S:.0f} s in {project}") from error
    return _Log(run.returncode, run.stdout.decode(errors="replace"))


def _refuse_overflow(log: str, board: str, model_dir: Path | None) -> None:
    """Say what to change when the linker found no room.

    Raises:
        DoesNotFit: it did not.
    """
    overflows = {name: int(count) for name, count in re.findall(r"region `(\w+)' overflowed by (\d+) bytes?", log)}
    if not overflows:
        return
    region, count = max(overflows.items(), key=lambda item: item[1])
    report = _report(model_dir) if model_dir is not None else {}
    if region.startswith("RAM") and "peak" in report:
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
