"""Emulated boards: one QEMU process each, with a UART on a socket and non-volatile memory in a file.

::

    create_nvm(Path("board.nvm"), "mps2_an386")
    with EmulatedBoard.start("mps2_an386", Path("build/firmware.elf"), Path("board.nvm")) as board:
        print(board.url)
"""

from __future__ import annotations

from tinyfleet.emulator.board import EmulatedBoard
from tinyfleet.emulator.nvm import create_nvm

__all__ = ["EmulatedBoard", "create_nvm"]
