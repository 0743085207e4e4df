"""``lib/settings`` over the host's flash, with the promises that it made."""

from __future__ import annotations

import ctypes
from pathlib import Path

from tests.support.flash_library import FlashLibrary, build_flash_library
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.settings import MAX_VALUE_BYTES, read_settings

AREA_BYTES = 16384
AREAS = (0x4000, 0x8000)
"""Offsets in the host's flash."""
FLASH_BYTES = 0xC000

_EACH = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_uint32)


def build_settings(folder: Path, *, geometry: tuple[int, int] | None = None, firmware: Path | None = None) -> Path:
    """Compile what :class:`SettingsStore` loads."""
    return build_flash_library(folder, libraries=("flash_map", "settings"), geometry=geometry, firmware=firmware)


class SettingsStore(FlashLibrary):
    """A board that has nothing but settings.

    Attributes:
        promised: What the board must have: every change whose call returned.
        pending: Key and new value (None: deleted) of the change that power failed in; the board may have it or not.
    """

    def __init__(self, library: Path, unit_bytes: int = 8) -> None:
        super().__init__(library)
        self.unit_bytes = unit_bytes
        self.promised: dict[bytes, bytes] = {}
        self.pending: tuple[bytes, bytes | None] | None = None

    def new(self, content: bytes = bytes(FLASH_BYTES)) -> None:
        """A board with this flash and no promises."""
        self.open(content)
        self.promised, self.pending = {}, None

    def start(self) -> int:
        """Power on, as after a cut."""
        self.c.tyf_host_flash_power_on()
        return int(self.c.tyf_settings_start())

    def get(self, key: bytes) -> bytes | None:
        """What the board says; None when the key is not set."""
        value, count = ctypes.create_string_buffer(MAX_VALUE_BYTES), ctypes.c_uint32()
        status = self.c.tyf_settings_get(key, value, MAX_VALUE_BYTES, ctypes.byref(count))
        assert status in (Status.OK, Status.ERR_STATE), Status(status)
        return value.raw[: count.value] if status == Status.OK else None

    def change(self, key: bytes, value: bytes | None) -> int:
        """Set or delete; the promise is noted."""
        status = int(self.c.tyf_settings_delete(key)) if value is None else int(self.c.tyf_settings_set(key, value, len(value)))
        if status == Status.OK and self.is_on():
            self.promised.pop(key, None)
            if value is not None:
                self.promised[key] = value
        elif not self.is_on():
            self.pending = (key, value)
        return status

    def all(self) -> dict[bytes, bytes]:
        """What the board lists."""
        found: dict[bytes, bytes] = {}

        def note(_: object, key: bytes, value: ctypes._Pointer[ctypes.c_uint8], count: int) -> bool:
            assert key not in found
            found[key] = bytes(value[:count])
            return True

        assert self.c.tyf_settings_each(_EACH(note), None) == Status.OK
        return found

    def in_flash(self) -> dict[bytes, bytes]:
        """What the bytes of the flash say, read by the host's own code."""
        first, second = (self.read(at, AREA_BYTES) for at in AREAS)
        return read_settings((first, second), self.unit_bytes)

    def settle(self) -> list[str]:
        """After a start: compare with the promises; what was pending is from now on as it is found.

        Returns:
            What is wrong.
        """
        # A flash with check bits knows a unit for damaged whose bytes look right.
        has_check_bits = self.unit_bytes == 16
        found, allowed = self.all() if has_check_bits else self.in_flash(), [dict(self.promised)]
        if self.pending is not None:
            key, value = self.pending
            after = {name: old for name, old in self.promised.items() if name != key}
            allowed.append(after if value is None else after | {key: value})
        wrong = [f"the board lists what its flash does not hold: {self.all()} != {found}"] if self.all() != found else []
        if found not in allowed:
            wrong.append(f"promised {self.promised}, pending {self.pending}, found {found}")
        self.promised, self.pending = found, None
        if self.c.tyf_host_flash_violations():
            wrong.append(f"{self.c.tyf_host_flash_violations()} operations against the rules of the flash")
        return wrong
