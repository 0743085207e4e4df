"""What the Bluetooth stack takes of a board, read from the linker's map."""

from __future__ import annotations

from collections.abc import Callable

from hil_tests.conftest import BOARD
from tests.support.linker_map import flash_of_objects, ram_of_objects
from tinyfleet.platformio_build import FirmwareBuild

FLASH_BYTES = 6 * 1024
RAM_BYTES = 2 * 1024


def test_the_stack_is_small(firmware: Callable[[str], FirmwareBuild]) -> None:
    linker_map = firmware(BOARD).linker_map
    flash, ram = (
        sum(count for name, count in sizes.items() if name.startswith("lib_ble/"))
        for sizes in (flash_of_objects(linker_map), ram_of_objects(linker_map))
    )
    print(f"lib/ble on {BOARD}: flash {flash}, RAM {ram}")
    assert 4000 < flash <= FLASH_BYTES
    assert 800 < ram <= RAM_BYTES


def test_a_board_without_a_controller_pays_nothing(firmware: Callable[[str], FirmwareBuild]) -> None:
    linker_map = firmware("microbit").linker_map
    parts = ("lib_ble/", "lib_sensor/radio", "lib_smp/raw")
    sizes = flash_of_objects(linker_map) + ram_of_objects(linker_map)
    assert not [name for name in sizes if name.startswith(parts)]
