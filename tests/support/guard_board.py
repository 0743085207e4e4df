"""The program of ``guard_program/`` on an emulated board: the guard, live inference and crashes, without any model."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.batch import STRICT
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.target import manifest_path

PROGRAM = Path(__file__).parent / "guard_program"
SANDBOXED = ("mps2_an385", "mps2_an386", "mps2_an500", "mps2_an505", "mps3_an547")
"""Boards with a memory protection unit."""
BOARDS = ("microbit", "mps2_an385_v6m", *SANDBOXED)
CODE = ["-O2", "-g", "-fwrapv", "-ffunction-sections", "-fdata-sections", "-fno-move-loop-stores"]


def board_facts() -> Any:
    """The module that says what a manifest means to the compiler; it lies in the PlatformIO platform, which is no package."""
    folder = str(firmware_tree.firmware_dir() / "platform/tinyfleet/builder")
    sys.path.insert(0, folder)
    try:
        import board  # type: ignore[import-not-found]  # noqa: PLC0415
    finally:
        sys.path.remove(folder)
    return board


def build_guard_program(board: str, folder: Path, *, firmware: Path | None = None) -> Path:
    """Compile it for a board, from ``firmware`` (by default this checkout's); returns the ELF."""
    firmware = firmware or firmware_tree.firmware_dir()
    manifest = json.loads(manifest_path(board).read_text(encoding="utf-8"))
    facts, read = manifest["tinyfleet"], board_facts()
    arch = firmware / "arch/cortex_m"
    drivers = [firmware / "boards" / name for name in read.source_folders(facts)]
    core = sorted((firmware / "lib/core/src").glob("*.c"))
    sources = [path for part in (arch, PROGRAM, *drivers) for path in sorted([*part.glob("*.c"), *part.glob("*.S")])]
    includes = [*sorted(firmware.glob("lib/*/include")), arch, PROGRAM, *drivers]
    elf = folder / f"{board}.elf"
    command = [
        *(str(find_arm_gcc()), *STRICT, "-Wmissing-prototypes", *CODE, *read.cpu_flags(manifest["build"])),
        *(f"-D{name}={str(value).replace(chr(92), '')}" for name, value in read.defines(board, manifest["build"], facts)),
        *(f"-I{path}" for path in includes),
        *map(str, [*sources, *core]),
        *("--specs=nano.specs", "--specs=nosys.specs", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings"),
        *("-Wl,--wrap=tyf_guard_call", f"-Wl,-Map={elf.with_suffix('.map')}"),
        *(f"-Wl,--defsym={name}={value}" for name, value in read.linker_symbols(facts)),
        *("-T", str(arch / "link.ld"), "-o", str(elf)),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[:4000]
    return elf


class GuardBoard:
    """A running one."""

    def __init__(self, board: str, elf: Path, nvm: Path, *, timeout_s: float = 30.0) -> None:
        self._board = EmulatedBoard.start(board, elf, nvm)
        port = int(self._board.url.rpartition(":")[2])
        self._connection = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._connection.settimeout(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
        self._board.stop()

    def ask(self, letter: str, argument: int | None = None) -> list[str]:
        """Send a command; the lines of its answer. Of one that crashes it is the word of the next start.

        Raises:
            AssertionError: no answer, or QEMU has ended, with what it said.
        """
        self._connection.sendall(letter.encode() + (b"" if argument is None else bytes([argument])))
        received = b""
        while not received.endswith(b"\n\n"):
            try:
                data = self._connection.recv(4096)
            except TimeoutError:
                raise AssertionError(f"no answer to {letter!r}, only {received!r}; QEMU: {self._board.output()}") from None
            assert data, f"QEMU ended after {received!r}: {self._board.output()}"
            received += data
        return received.decode().split("\n")[:-2]


def numbers(line: str) -> dict[str, int]:
    """The ``name=value`` words of a line."""
    pairs = (word.split("=") for word in line.split() if "=" in word)
    return {name: int(value) for name, value in pairs}
