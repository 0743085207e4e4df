"""What the host must know of a board, from its manifest ``firmware/boards/<id>.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tinyfleet_codegen.errors import ConfigError
from tinyfleet_codegen.target import board_names, manifest_path

UNTRIED = "built, never run on hardware"
"""What is said of a board whose manifest has ``"tried": false``."""


@dataclass(frozen=True, slots=True)
class Emulation:
    """How QEMU stands in for a board.

    Attributes:
        machine: QEMU's name of the machine.
        icount_shift: One instruction takes ``2**icount_shift`` nanoseconds of guest time.
        nvm: How the board reaches its NVM file: ``ram``, as the memory that the machine lets be a file, or ``semihosting``.
    """

    machine: str
    icount_shift: int
    nvm: str = "ram"


@dataclass(frozen=True, slots=True)
class Board:
    """A kind of hardware.

    Attributes:
        board_id: Stem of the manifest's file name.
        name: For people.
        nvm_bytes: Size of the non-volatile memory that an emulated board keeps in a file.
        baud: Speed of the management UART.
        upload_protocol: How firmware gets onto it: ``qemu`` or ``pyocd``.
        pyocd_target: pyOCD's name of the chip, or None.
        emulation: None for a board that exists as hardware only.
        is_tried: Whether our firmware has run on it. Emulated ones are tried by every test run.
    """

    board_id: str
    name: str
    nvm_bytes: int
    baud: int
    upload_protocol: str
    pyocd_target: str | None
    emulation: Emulation | None
    is_tried: bool


def load_board(board_id: str) -> Board:
    """Read one board's manifest.

    Raises:
        UsageError: there is no such board.
        ConfigError: its manifest lacks something.
    """
    path = manifest_path(board_id)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        facts = manifest["tinyfleet"]
        qemu = facts.get("qemu")
        return Board(
            board_id=board_id,
            name=manifest["name"],
            nvm_bytes=facts["memory"]["nvm"]["bytes"],
            baud=facts["uarts"][0]["baud"],
            upload_protocol=manifest["upload"]["protocol"],
            pyocd_target=facts.get("pyocd_target"),
            emulation=Emulation(**qemu) if qemu else None,
            is_tried=bool(facts.get("tried", qemu is not None)),
        )
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"board manifest {path} is not complete: {error!r}") from error


def load_boards() -> tuple[Board, ...]:
    """All boards that have a manifest, sorted by their ids.

    Raises:
        ConfigError: a manifest lacks something.
    """
    return tuple(load_board(name) for name in board_names())
