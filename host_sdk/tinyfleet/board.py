"""What the host must know of a board, from its manifest ``firmware/boards/<id>.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tinyfleet_codegen.errors import ConfigError, UsageError
from tinyfleet_codegen.target import board_names, manifest_path

UNTRIED = "built, never run on hardware"
"""What is said of a board whose manifest has ``"tried": false``."""
NO_UPDATES = "none"
"""What a manifest says of a board that has no room, or no flash driver, for updates over a link."""


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
class Area:
    """A named part of a board's memory.

    Attributes:
        memory: ``flash``, ``ram`` or ``nvm``.
        offset: Where it begins in that memory; of an emulated board's ``nvm``, in its NVM file.
        address: Where the core sees it.
        bytes: Its size.
    """

    memory: str
    offset: int
    address: int
    bytes: int


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
        areas: The flash map, by the areas' names.
        page_bytes: What its NVM erases at once; None where that is no flash.
        unit_bytes: What its NVM programs at once; None where that is no flash.
        updates: How firmware and models are updated over a link: ``direct_xip``, or ``none``.
        has_hci: Whether it has a UART for a Bluetooth controller.
    """

    board_id: str
    name: str
    nvm_bytes: int
    baud: int
    upload_protocol: str
    pyocd_target: str | None
    emulation: Emulation | None
    is_tried: bool
    areas: dict[str, Area]
    page_bytes: int | None
    unit_bytes: int | None
    updates: str
    has_hci: bool

    def require_updates(self) -> None:
        """Refuse to go on for a board that cannot be updated over a link.

        Raises:
            UsageError: it cannot.
        """
        if self.updates == NO_UPDATES:
            raise UsageError(
                f"{self.board_id} cannot be updated over a link: its manifest says updates: {NO_UPDATES}",
                hint=f"flash it: tinyfleet flash --board {self.board_id}; boards that can: {', '.join(_updatable())}",
            )

    def require_area(self, name: str) -> Area:
        """An area of the flash map.

        Raises:
            UsageError: the board has none of that name.
        """
        if name not in self.areas:
            raise UsageError(f"{self.board_id} has no flash area '{name}'", hint=f"it has: {', '.join(sorted(self.areas))}")
        return self.areas[name]


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
            areas={entry["name"]: _area(facts, entry) for entry in facts["flash_map"]},
            page_bytes=facts["memory"]["nvm"].get("page_bytes"),
            unit_bytes=facts["memory"]["nvm"].get("unit_bytes"),
            updates=facts["updates"],
            has_hci=any(uart["use"] == "hci" for uart in facts["uarts"]),
        )
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"board manifest {path} is not complete: {error!r}") from error


def _area(facts: dict[str, Any], entry: dict[str, Any]) -> Area:
    origin = int(facts["memory"][entry["memory"]]["origin"], 16)
    return Area(entry["memory"], entry["offset"], origin + entry["offset"], entry["bytes"])


def _updatable() -> list[str]:
    return [board.board_id for board in load_boards() if board.updates != NO_UPDATES]


def hci_boards() -> list[str]:
    """Ids of the boards that have a UART for a Bluetooth controller."""
    return [board.board_id for board in load_boards() if board.has_hci]


def load_boards() -> tuple[Board, ...]:
    """All boards that have a manifest, sorted by their ids.

    Raises:
        ConfigError: a manifest lacks something.
    """
    return tuple(load_board(name) for name in board_names())
